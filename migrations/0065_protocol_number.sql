-- The number of the freshness protocol that this schema follows: what labels, certificates, overlay floors and erasure counts
-- mean. Every certificate returns it. A release that does not know the number calls nothing fresh and writes nothing. A
-- migration that changes one of these meanings raises the number, in the transaction of the change.
set local lock_timeout = '100ms';

-- In the row that every certificate reads already.
alter table tandem.settings add column protocol integer not null default 1;

-- Logins for feature queries that have the grants of before need this column, too.
do $$ declare login regrole; begin
  for login in
    select distinct a.grantee::regrole from pg_catalog.pg_attribute c, pg_catalog.aclexplode(c.attacl) a
    where c.attrelid = 'tandem.settings'::regclass and c.attname = 'revision' and a.privilege_type = 'SELECT' and a.grantee <> 0
  loop
    execute format('grant select (protocol) on tandem.settings to %s', login);
  end loop;
end $$;

-- A process of an application that reads predictions in its own memory.
alter table tandem.processes drop constraint processes_kind_check,
  add constraint processes_kind_check check (kind in ('api', 'worker', 'embedded'));
