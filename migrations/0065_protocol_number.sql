-- The number of the freshness protocol that this schema follows: what labels, certificates, overlay floors and erasure counts
-- mean. Every certificate returns it. A release that does not know the number calls nothing fresh and writes nothing. A
-- migration that changes one of these meanings raises the number by tandem.raise_protocol, in the transaction of the change.
-- It also makes the record of erasures in Redis unusable (another key): a process that is cut off from Postgres does not
-- learn of the change, and answers `unverified` as long as that record agrees with what it last read.
set local lock_timeout = '100ms';

-- A process of an application that reads predictions in its own memory. First, because it may wait for its lock: the next
-- statement's lock is the one that every certificate waits for.
alter table tandem.processes drop constraint processes_kind_check,
  add constraint processes_kind_check check (kind in ('api', 'worker', 'embedded'));

-- In the row that every certificate reads already.
alter table tandem.settings add column protocol integer not null default 1;

-- Logins for feature queries that have the grants of before need this column, too.
do $$ declare login text; begin
  for login in
    select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
    from pg_catalog.pg_attribute c, pg_catalog.aclexplode(c.attacl) a
    where c.attrelid = 'tandem.settings'::regclass and c.attname = 'revision' and a.privilege_type = 'SELECT'
  loop
    execute format('grant select (protocol) on tandem.settings to %s', login);
  end loop;
end $$;

-- Raises the number once all transactions have ended that have read it and may still write. Each of them locks a row of one
-- of these tables before it reads the number; erasures compare the number in the row that this function changes. Plain reads
-- go on. Call it under a lock_timeout.
create function tandem.raise_protocol(next integer) returns void language sql as $$
  lock table tandem.predictors, tandem.runs, tandem.chunks, tandem.overlay, tandem.history_rotation in exclusive mode;
  update tandem.settings set protocol = next;
$$;
