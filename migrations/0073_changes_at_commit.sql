-- Changes of watched tables raise versions at commit. A statement only notes which users it changed; a deferred trigger raises
-- them all in one order when the transaction commits. So two transactions never deadlock on users, and a transaction holds
-- users only while it commits.

-- Each of these locks waits for transactions that have raised versions; events would wait behind it meanwhile.
set local lock_timeout = '100ms';

-- What the statements of open transactions changed. A transaction deletes its rows before it ends, so that the table is
-- empty after a crash, too.
create unlogged table tandem.source_changes (
  xid xid8 not null default pg_catalog.pg_current_xact_id(),
  watch bigint not null,
  -- The changed users. Null: every user.
  users text[],
  -- For a key that looks up other tables: the columns of the changed rows that the key reads, as a JSON array of rows. The
  -- key is evaluated at commit, since another transaction may move a looked-up row after the statement.
  lookups jsonb
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
create index source_changes_of_transaction on tandem.source_changes (xid);

-- Why a watch may have missed changes. While a predictor has a fault, certificates say so, and none of its stored predictions is
-- fresh. Rows are only inserted until the watch is repaired, and refer to nothing, so that a fault never waits for a lock.
create table tandem.watch_faults (
  id bigint generated always as identity primary key,
  watch bigint not null,
  predictor text not null,
  -- key: the key cannot be evaluated; ddl: a table was changed; triggers: a trigger was disabled or removed.
  reason text not null check (reason in ('key', 'ddl', 'triggers')),
  detail text not null,
  xid xid8 not null default pg_catalog.pg_current_xact_id(),
  at timestamptz not null default clock_timestamp()
);

-- The grants of the tables that are read beside it.
do $$ declare login text; begin
  for login in
    select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
    from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    where c.oid in ('tandem.source_versions'::regclass, 'tandem.watched_sources'::regclass) and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
    union
    select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
    from pg_catalog.pg_attribute c, pg_catalog.aclexplode(c.attacl) a
    where c.attrelid = 'tandem.source_versions'::regclass and c.attname = 'version' and a.privilege_type = 'SELECT'
  loop
    execute format('grant select on tandem.watch_faults to %s', login);
  end loop;
end $$;

-- Notes a fault of a watch, unless this transaction has noted it. A repair may delete the fault of another transaction before
-- this one commits. Every write meets a broken key, so that fault is noted once: repairs wait for open writers instead.
create function tandem.fault_watch(watch bigint, reason text, detail text) returns void language sql
set search_path = pg_catalog, tandem, pg_temp as $$
  insert into tandem.watch_faults (watch, predictor, reason, detail)
    select w.id, p.name, $2, left($3, 1000) from tandem.watched_sources w cross join unnest(w.predictors) as p(name)
    where w.id = $1 and not exists (
      select from tandem.watch_faults f where f.watch = w.id and f.predictor = p.name and f.reason = $2
        and (f.xid = pg_current_xact_id() or $2 = 'key'))
$$;

-- Ends the faults of a repaired watch. What they hid counts as a bulk change, and every later read sees a higher revision.
create function tandem.settle_watch(watch bigint) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  ended text[];
begin
  ended := array(select distinct f.predictor from tandem.watch_faults f where f.watch = $1 order by 1);
  perform tandem.lock_source_versions(ended, '{}');
  with gone as (
    delete from tandem.watch_faults f where f.watch = $1 and f.predictor = any (ended) returning f.predictor
  )
  update tandem.source_versions s set version = s.version + g.count + 1
    from (select predictor, count(*) as count from gone group by predictor) g where s.predictor = g.predictor;
end $$;

-- Excludes bulk changes of a predictor from transactions that look up the users of their rows: a bulk change may move rows
-- between users and locks none of them.
create function tandem.lock_source_versions(everyone text[], looked text[]) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  one record;
begin
  for one in
    select hashtext(name) as key, bool_or(is_bulk) as is_bulk
    from (select unnest(everyone), true union all select unnest(looked), false) as p(name, is_bulk) group by 1 order by 1
  loop
    if one.is_bulk then
      perform pg_advisory_xact_lock(1413567557, one.key);
    else
      perform pg_advisory_xact_lock_shared(1413567557, one.key);
    end if;
  end loop;
  -- An older snapshot would not see the rows that a bulk change has moved.
  if current_setting('transaction_isolation') <> 'read committed' then
    perform from tandem.source_versions where predictor = any (looked) order by predictor for share;
  end if;
  perform from tandem.source_versions where predictor = any (everyone) order by predictor for update;
end $$;

-- Trigger functions of watches call this with the users of a statement (distinct; null: every user), and with the rows from
-- which the key will be looked up.
drop function tandem.source_changed(bigint, text[]);
create function tandem.source_changed(watch bigint, users text[], lookups jsonb default null) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
begin
  if cardinality(users) = 0 and lookups is null then return; end if;
  -- The watch must not change before this transaction ends (libs/offline-store/events/event-rules.ts).
  perform pg_advisory_xact_lock_shared(1413567556, 1163284052);
  if current_setting('transaction_isolation') <> 'read committed' then
    perform from tandem.event_rules for share;
  end if;
  insert into tandem.source_changes (watch, users, lookups) values (watch, users, lookups);
end $$;

-- Raises the context versions of the users in `changes`, each once, in the order of their ids.
--
-- As the events' trigger does, it inserts the users who are missing first, in order, and then locks the others in order:
-- nested loops alone keep that order. An erased user stays erased, at the version of the erasure, but is locked as well: a
-- readmission waits until this transaction ends. More than 1,000 users leave no rows in the outbox: these only save Redis
-- work, and cost as much as the rest.
create function tandem.raise_changed(changes tandem.source_changes[]) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp
set enable_indexscan = on
set enable_nestloop = on
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
set jit = off as $$
declare
  concerned text[];
  changed text[];
  -- The predictors of each user, as keys of an object, if the changes concern different predictors.
  each jsonb[] := '{}';
begin
  concerned := array(select distinct p.name from tandem.watched_sources w cross join unnest(w.predictors) as p(name)
    where w.id = any (array(select c.watch from unnest(changes) c)) order by 1);
  if exists (select from tandem.watched_sources w where w.id = any (array(select c.watch from unnest(changes) c))
      and not concerned <@ w.predictors) then
    select array_agg(u.user_id order by u.user_id), array_agg(u.names order by u.user_id) into changed, each from (
      select n.user_id collate "C" as user_id, jsonb_object_agg(p.name, null) as names
      from unnest(changes) c cross join unnest(c.users) as n(user_id)
      join tandem.watched_sources w on w.id = c.watch cross join unnest(w.predictors) as p(name) group by 1) u;
  elsif cardinality(changes) = 1 then
    changed := changes[1].users;
  else
    changed := array(select distinct n.user_id collate "C" from unnest(changes) c cross join unnest(c.users) as n(user_id) order by 1);
  end if;
  if coalesce(cardinality(changed), 0) = 0 or cardinality(concerned) = 0 then return; end if;
  insert into tandem.user_contexts (user_id)
    select u.user_id from unnest(changed) with ordinality as u(user_id, position)
    where not exists (select from tandem.user_contexts c where c.user_id = u.user_id collate "C")
    order by u.position on conflict do nothing;
  with raised as (
    update tandem.user_contexts c set
      version = c.version + case when c.deleted_version > 0 and c.version = c.deleted_version then 0 else 1 end,
      -- Mostly there is one predictor: a sub-select for each user would take as long as the update.
      touched = case when c.deleted_version > 0 and c.version = c.deleted_version then c.touched
        when u.names is not null then c.touched || (select jsonb_object_agg(k, c.version + 1) from jsonb_object_keys(u.names) k)
        when cardinality(concerned) = 1 then c.touched || jsonb_build_object(concerned[1], c.version + 1)
        else c.touched || (select jsonb_object_agg(p.name, c.version + 1) from unnest(concerned) as p(name)) end,
      updated_at = clock_timestamp()
    from unnest(changed, each) as u(user_id, names)
    where c.user_id = u.user_id collate "C"
    returning c.user_id, c.version, c.version = c.deleted_version as is_erased
  )
  insert into tandem.outbox (user_id, context_version)
    select user_id, version from raised where not is_erased and cardinality(changed) <= 1000;
end $$;

-- Evaluates the keys of noted look-ups. A key that fails for a structural reason, such as a renamed column, is a fault of
-- the watch, not an error of the application.
create function tandem.look_up(changes tandem.source_changes[]) returns tandem.source_changes[] language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  one record;
  users text[];
  found tandem.source_changes[] := '{}';
begin
  for one in
    select c.watch, array_agg(c.lookups) as lookups from unnest(changes) c
    where c.lookups is not null group by c.watch order by c.watch
  loop
    begin
      execute format('select tandem.watch_%s_users($1)', one.watch) into users using case cardinality(one.lookups)
        when 1 then one.lookups[1]
        else (select jsonb_agg(distinct r.row) from unnest(one.lookups) as l(rows) cross join jsonb_array_elements(l.rows) as r(row)) end;
      found := found || row(null, one.watch, users, null)::tandem.source_changes;
    exception when syntax_error_or_access_rule_violation or invalid_schema_name or feature_not_supported then
      perform tandem.fault_watch(one.watch, 'key', sqlerrm);
    end;
  end loop;
  return found;
end $$;

-- Raises what the transaction changed, when it commits. The first call does all the work of the transaction.
create function tandem.apply_source_changes() returns trigger language plpgsql security definer
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  changes tandem.source_changes[];
  everyone text[];
  looked text[];
  resolved tandem.source_changes[] := '{}';
begin
  with mine as (delete from tandem.source_changes where xid = pg_current_xact_id() returning source_changes.*)
    select array_agg(row(m.xid, m.watch, m.users, m.lookups)::tandem.source_changes) into changes from mine m;
  if changes is null then return null; end if;
  everyone := array(select distinct p.name from unnest(changes) c join tandem.watched_sources w on w.id = c.watch
    cross join unnest(w.predictors) as p(name) where c.users is null and c.lookups is null);
  looked := array(select distinct p.name from unnest(changes) c join tandem.watched_sources w on w.id = c.watch
    cross join unnest(w.predictors) as p(name) where c.lookups is not null);
  if cardinality(everyone) > 0 or cardinality(looked) > 0 then
    perform tandem.lock_source_versions(everyone, looked);
    update tandem.source_versions set version = version + 1 where predictor = any (everyone);
  end if;
  if cardinality(looked) = 0 then
    perform tandem.raise_changed(changes);
    return null;
  end if;
  -- Another transaction that moves a looked-up row to another user locks the former user, too. So a user that the key still
  -- gives after that user is locked stays right until this transaction ends. If the key gives other users by then, the locks
  -- are released, and all users are locked again in order.
  resolved := tandem.look_up(changes);
  loop
    begin
      perform tandem.raise_changed(array(select c from unnest(changes) c where c.users is not null) || resolved);
      if tandem.look_up(changes) = resolved then return null; end if;
      raise exception using errcode = 'TD001', message = 'a looked-up row has moved to another user';
    exception when sqlstate 'TD001' then
      resolved := tandem.look_up(changes);
    end;
  end loop;
end $$;

create constraint trigger apply_source_changes after insert on tandem.source_changes deferrable initially deferred
  for each row execute function tandem.apply_source_changes();
alter table tandem.source_changes enable always trigger apply_source_changes;

-- Whatever raises a version is committed durably. The statement triggers (migrations/0055) hold until a later setting; this
-- one holds at commit, whatever the session has set since. One row of a transaction queues it.
create function tandem.commit_durably_at_end() returns trigger language plpgsql as $$
begin
  -- The session's search path must not choose the operator.
  if pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) any (array['off', 'local']) then
    perform pg_catalog.set_config('synchronous_commit', 'on', true);
  end if;
  -- After SET CONSTRAINTS ALL IMMEDIATE, a later change queues it again.
  perform pg_catalog.set_config('tandem.commits_durably', '', true);
  return null;
end $$;

do $$ declare name text; begin
  foreach name in array array['user_contexts', 'source_versions', 'watch_faults'] loop
    execute format($sql$
      create constraint trigger commit_durably_at_end after insert or update on tandem.%1$I deferrable initially deferred
        for each row when (case
          when pg_catalog.current_setting('tandem.commits_durably', true)
            is distinct from pg_catalog.pg_current_xact_id()::text
          then pg_catalog.set_config('tandem.commits_durably', pg_catalog.pg_current_xact_id()::text, true) is not null
          else false end)
        execute function tandem.commit_durably_at_end();
      alter table tandem.%1$I enable always trigger commit_durably_at_end $sql$, name);
  end loop;
end $$;

-- Also in sessions that replay changes (session_replication_role = replica).
alter table tandem.user_contexts enable always trigger commit_durably;
alter table tandem.source_versions enable always trigger commit_durably;

revoke all on function tandem.fault_watch(bigint, text, text), tandem.settle_watch(bigint),
  tandem.lock_source_versions(text[], text[]), tandem.source_changed(bigint, text[], jsonb),
  tandem.raise_changed(tandem.source_changes[]), tandem.look_up(tandem.source_changes[]) from public;
