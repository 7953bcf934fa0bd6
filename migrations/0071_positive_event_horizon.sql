-- The event horizon is above zero. With another horizon, every event with a time is rejected as too old. Below an hour
-- before zero, retention also deletes the ids of current events, so that a duplicate counts twice. A horizon of zero or
-- less gets the default.

-- Does not delay reads for long: a migration that does not get the lock is retried.
set local lock_timeout = '100ms';

update tandem.settings set event_horizon = default where event_horizon <= interval '0';
alter table tandem.settings add constraint event_horizon_above_zero check (event_horizon > interval '0');
