-- When autovacuum cleans the tables whose rows expire. By default it waits until a fifth of a table is dead: 200 million of a
-- billion event ids. Measured on 5 million rows, of which 4 million expired while others were inserted (the cost limits of
-- autovacuum):
--   event_ids   at 0.2: heap +24 %, indexes +41 %,  3 vacuums of 22 s;  at 0.02: +2.5 %, +13 %, 33 of 3 s;  0.005 saves no more
-- Updates leave few dead rows: with the fillfactors of these tables all of 2.4 million random updates stayed on their pages,
-- nothing grew, and pruning kept the dead rows below 1.1 % (read_demand), 2.6 % (overlay) and 5.8 % (user_contexts). A vacuum
-- for each 2 % of them took seven times as long as the updates, and saved nothing. So the limits are above these shares, and
-- user_contexts, from which no row is deleted, keeps the default. Days of events are dropped as a whole.

-- This lock does not delay reads and writes. It waits a second for autovacuum, which then gives way.
set local lock_timeout = '5s';

alter table tandem.event_ids set (autovacuum_vacuum_scale_factor = 0.02);
alter table tandem.outcomes set (autovacuum_vacuum_scale_factor = 0.02);
alter table tandem.exposures set (autovacuum_vacuum_scale_factor = 0.05);
alter table tandem.overlay set (autovacuum_vacuum_scale_factor = 0.05);
alter table tandem.read_demand set (autovacuum_vacuum_scale_factor = 0.05);
