-- How long a context keeps the values of events after its last change. Null: permanently. A later event must not be older than
-- a dropped value, or it would count although the value was newer: so this exceeds the horizon of events. Rows stay
-- (libs/offline-store/events/context-values.ts).
set local lock_timeout = '100ms';

alter table tandem.settings add column context_horizon interval,
  add constraint context_horizon_above_event_horizon check (context_horizon >= event_horizon + interval '1 hour');
