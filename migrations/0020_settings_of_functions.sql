-- Functions that run in the sessions of applications, or under a plan of their own, make the settings that they rely on:
-- a role, a database or a server may have others.
--
-- jit: enable_seqscan = off adds 1e10 to a plan's cost up to Postgres 17, so that each statement was compiled. One event took
-- 1.0 s on Debian's Postgres 15, now 0.9 ms.
alter function tandem.accept_events() set jit = off;
alter function tandem.send_events(jsonb, int) set jit = off;
alter function tandem.accept_outcomes(jsonb, interval, interval) set jit = off;

-- The bodies of the checks have backslashes in their patterns, and are read by these settings of the session. The message
-- about an event that is too old has an interval in it.
alter function tandem.accept_events() set standard_conforming_strings = on;
alter function tandem.accept_events() set intervalstyle = 'postgres';

-- Each table is reached by its index, row by row: also where a session forbids that.
alter function tandem.accept_events() set enable_indexscan = on;
alter function tandem.accept_events() set enable_nestloop = on;
