-- Where an erased user's event data lies, without a look at everybody's. Events without data are not in it. The log has
-- 30 days of events, and they go on being accepted meanwhile. What an attempt that was cut short left behind goes first.
drop index concurrently if exists tandem.events_with_data;
create index concurrently events_with_data on tandem.events (user_id collate "C") where data is not null;
