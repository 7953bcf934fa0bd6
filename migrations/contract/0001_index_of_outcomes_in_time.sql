-- Since 0054_outcomes_by_user no statement reads this index, but each outcome still writes it.
drop index concurrently if exists tandem.outcomes_in_time;
