-- How many erasures there were: in a row that every certificate reads anyway. So nobody is certified while this waits for
-- that table, behind an adoption, say: it waits for less time than reads do, and is tried again.
set local lock_timeout = '100ms';
alter table tandem.settings add column erasures bigint not null default 0;
update tandem.settings set erasures = coalesce((select max(number) from tandem.erasures), 0);
