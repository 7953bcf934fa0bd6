-- Expiry takes the oldest rows first. A block range index finds them no longer once the space of deleted rows is used again:
-- each of its ranges then holds old rows and new ones, and a look for expired rows reads all that is kept.
drop index concurrently if exists tandem.event_ids_age;
create index concurrently event_ids_age on tandem.event_ids (accepted_at);
drop index concurrently if exists tandem.outcomes_age;
create index concurrently outcomes_age on tandem.outcomes (accepted_at);
drop index concurrently if exists tandem.events_before_age;
create index concurrently events_before_age on tandem.events (accepted_at);
drop index concurrently if exists tandem.event_ids_accepted_at;
drop index concurrently if exists tandem.outcomes_accepted_at;
drop index concurrently if exists tandem.events_accepted_at;
