-- The number of the freshness protocol that a process knows, for operators; null for a process of a release before this one.

-- Waits for no beat for long: a migration that does not get the lock is tried again.
set local lock_timeout = '100ms';

alter table tandem.processes add column protocol integer;
