-- The outcomes of an exposed user in a window, from the index alone. Outcomes go on being accepted meanwhile. What an attempt
-- that was cut short left behind goes first. It does all that outcomes_of_user did. Only releases before this migration read
-- outcomes_in_time.
drop index concurrently if exists tandem.outcomes_in_window;
create index concurrently outcomes_in_window on tandem.outcomes (user_id, name, time) include (value) where user_id is not null;
drop index concurrently if exists tandem.outcomes_of_user;
