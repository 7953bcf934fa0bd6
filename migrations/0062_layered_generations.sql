-- Runs with a budget. Such a run scores some users, and its generation names the generation of everyone whose rows still count
-- for the others: its base. A release before this one ignores it: to its reads, users without a row of the generation itself
-- are missing, and inferred live.
set local lock_timeout = '100ms';

alter table tandem.runs add column if not exists budget jsonb;

alter table tandem.generations
  -- Null: of everyone. Set when the run is planned; a base has none itself.
  add column base_id uuid references tandem.generations on delete set null,
  -- Rows that the publication took along from the generation before, of users whom the run did not score.
  add column carried_users bigint not null default 0,
  -- Users of the base without a row of this generation, when it was published. Null without a base.
  add column users_left bigint;

-- Workers of a release before this one drop by a rule that knows no bases. To those a base looks like a table that somebody
-- has locked: it waits for the next time.
create function tandem.keep_base() returns trigger language plpgsql as $$ begin
  if exists (select from tandem.generations g where g.base_id = new.id and g.state <> 'dropped') then
    raise exception 'generation % of % is the base of another that is kept', new.number, new.predictor
      using errcode = '55P03', hint = 'It can be dropped once that one is.';
  end if;
  return new;
end $$;
create trigger keep_base before update of state on tandem.generations
  for each row when (new.state = 'dropped' and old.state <> 'dropped') execute function tandem.keep_base();

-- Logins for feature queries that have the grants of before need this column, too.
do $$ declare login regrole; begin
  for login in
    select distinct a.grantee::regrole from pg_catalog.pg_attribute c, pg_catalog.aclexplode(c.attacl) a
    where c.attrelid = 'tandem.generations'::regclass and c.attname = 'run_id' and a.privilege_type = 'SELECT' and a.grantee <> 0
  loop
    execute format('grant select (base_id) on tandem.generations to %s', login);
  end loop;
end $$;
