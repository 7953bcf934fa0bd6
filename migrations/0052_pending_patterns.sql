-- Event rules change without a lock (libs/offline-store/events/event-rules.ts). A transaction that sent an event may have
-- read the rules of before, and commit later: it holds the advisory lock of tandem.accept_events() until then, shared, so
-- that a change knows whom to wait for. Nothing takes that lock exclusively but the adoption of another type of user ids.

-- An application's transaction that has sent an event holds predictors and contexts until it ends, and other events would
-- wait behind us.
set local lock_timeout = '100ms';

-- Whether `touched` says too little of this predictor: its patterns or features have grown, and contexts of before are not
-- rewritten yet. Every reader of `touched` takes the user's `version` while this is set.
alter table tandem.predictors add column patterns_pending boolean not null default false;

-- Changes that transactions under way may not know, and rewrites of contexts under way. One row a predictor.
create sequence tandem.rule_changes;
create table tandem.pending_rules (
  predictor text primary key references tandem.predictors on delete cascade,
  -- Another one for each change, so that a worker never takes one for the next.
  number bigint not null default nextval('tandem.rule_changes'),
  -- open: transactions by earlier rules may be under way; rewriting: they have ended; rewritten: the flag can go.
  state text not null default 'open' check (state in ('open', 'rewriting', 'rewritten')),
  -- Transactions by earlier rules that were open behind the change, as pg_locks names them. Null: not looked for yet.
  senders text[],
  -- Contexts up to this user are rewritten.
  rewritten_to text collate "C" not null default ''
);
alter sequence tandem.rule_changes owned by tandem.pending_rules.number;

-- A version of the user such that the last event that concerns each predictor is none before it. With hundreds of predictors
-- `touched` is stored out of line, and fetching it costs five times the rest: where this is the version itself, as after an
-- event that concerns all of them, a reader need not.
alter table tandem.user_contexts add column touched_all bigint not null default 0;

do $$
declare
  known text;
  definition text;
  piece text[];
begin
  perform set_config('search_path', 'pg_catalog', true);
  select pg_get_functiondef(oid) into strict definition from pg_proc
    where pronamespace = 'tandem'::regnamespace and proname = 'apply_events';
  foreach piece slice 1 in array array[
    ['jsonb_object_agg(predictor, context_version) as touched from', 'jsonb_object_agg(predictor, context_version) as touched,
      case when count(*) = (select count(*) from rules) then min(context_version) end as touched_all from'],
    ['t.touched, f.fresh', 't.touched, t.touched_all, f.fresh'],
    ['touched = c.touched ||', 'touched_all = coalesce(g.touched_all, c.touched_all),
    touched = c.touched ||']]
  loop
    known := definition;
    definition := replace(known, piece[1], piece[2]);
    if definition = known then raise exception 'tandem.apply_events lacks %', piece[1]; end if;
  end loop;
  execute definition;
end $$;

-- Logins for feature queries that have the grants of before need these columns, too.
do $$ declare login regrole; begin
  for login in
    select distinct a.grantee::regrole from pg_catalog.pg_attribute c, pg_catalog.aclexplode(c.attacl) a
    where c.attrelid = 'tandem.predictors'::regclass and c.attname = 'active' and a.privilege_type = 'SELECT' and a.grantee <> 0
  loop
    execute format('grant select (patterns_pending) on tandem.predictors to %s', login);
    execute format('grant select (touched_all) on tandem.user_contexts to %s', login);
  end loop;
end $$;
