-- Changes of the schema can change features without a change of a row: a detached partition, a new type of a column, another
-- view. For each watch this keeps a list of what its features depend on. Event triggers compare the list with the catalogue in
-- the transaction of the change; workers do it every few seconds.

-- The lock of `watched_sources` waits for a backup that reads it; commits of watched tables would wait behind it meanwhile.
set local lock_timeout = '100ms';

create table tandem.watched_relations (
  watch bigint not null,
  -- pg_class, pg_proc or pg_constraint, and the oid in it.
  class oid not null,
  object oid not null,
  -- table: the watched table; part: its partitions and children; query: views and functions of the feature queries of its
  -- predictors, and foreign keys on which its key relies.
  part text not null check (part in ('table', 'part', 'query')),
  -- `schema.name`, also after the object was dropped.
  name text not null,
  -- What must stay true of it, one text for each fact. A new fact, such as a new column, changes no feature.
  facts text[] not null,
  -- The file of a table, and the versions of its columns' catalogue rows. New values of a column change both; VACUUM FULL
  -- changes one.
  file oid not null,
  columns text not null,
  -- Whether the triggers must also fire in sessions that replay changes.
  is_always boolean not null
);
create index watched_relations_of_object on tandem.watched_relations (object);

-- The grants of the table that is read beside it.
do $$ declare login text; begin
  for login in
    select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
    from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    where c.oid = 'tandem.watched_sources'::regclass and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
  loop
    execute format('grant select on tandem.watched_relations to %s', login);
  end loop;
end $$;

-- The model versions whose feature queries the list covers.
alter table tandem.watched_sources add column versions text[] not null default '{}';

-- What the catalogue says of relations, functions and foreign keys. It takes no locks, as pg_get_viewdef would.
create function tandem.describe_relations(objects oid[])
returns table (class oid, object oid, name text, facts text[], file oid, columns text) language sql stable
set search_path = pg_catalog, pg_temp as $$
  select 'pg_class'::regclass::oid, c.oid, format('%I.%I', n.nspname, c.relname),
    array[concat_ws(' ', n.nspname, c.relname, c.relkind, c.relrowsecurity)] || a.shapes || array(
      select md5(concat_ws(' ', r.rulename, r.ev_type, r.ev_enabled, r.ev_qual, r.ev_action)) from pg_rewrite r where r.ev_class = c.oid),
    c.relfilenode, coalesce(a.versions, '')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join lateral (
    select array_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, case when a.attgenerated <> '' then (
        select concat(a.attgenerated, md5(d.adbin::text)) from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum) end)) as shapes,
      string_agg(a.xmin::text, ',' order by a.attnum) as versions
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) a on true
  where c.oid = any (objects)
  union all
  select 'pg_proc'::regclass::oid, p.oid, format('%I.%I', n.nspname, p.proname), array[concat_ws(' ', n.nspname, p.proname,
      p.prolang, p.prorettype, p.proargtypes, p.prosecdef, p.proconfig, p.probin, md5(concat(p.prosrc, p.prosqlbody)))], 0::oid, ''
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid = any (objects)
  union all
  select 'pg_constraint'::regclass::oid, k.oid, k.conname::text, array[concat_ws(' ', k.conrelid, k.conkey, k.confrelid, k.confkey,
      k.convalidated, k.condeferrable, to_jsonb(k) ->> 'conenforced')], 0::oid, ''
  from pg_constraint k where k.oid = any (objects)
$$;

-- A table, its partitions and the tables that inherit from it.
create function tandem.family_of(root oid) returns setof oid language sql stable
set search_path = pg_catalog, pg_temp as $$
  with recursive family(oid) as (
    select c.oid from pg_class c where c.oid = root
    union select i.inhrelid from pg_inherits i join family f on f.oid = i.inhparent where not i.inhdetachpending
  )
  select oid from family
$$;

-- The triggers that a watch lacks on a table and its family: missing, disabled, or no longer firing in every session.
create function tandem.missing_triggers(watch bigint, root oid) returns table (member oid, trigger text) language sql stable
set search_path = pg_catalog, tandem, pg_temp as $$
  select f.oid, 'tandem_watch_' || o.operation
  from tandem.family_of($2) as f(oid) cross join unnest(array['insert', 'update', 'delete', 'truncate']) as o(operation)
  where not exists (select from pg_trigger g where g.tgrelid = f.oid and g.tgname = 'tandem_watch_' || o.operation
    and g.tgfoid = to_regproc('tandem.watch_' || $1) and (g.tgenabled = 'A' or (g.tgenabled = 'O' and not exists (
      select from tandem.watched_relations r where r.watch = $1 and r.object = f.oid and r.is_always))))
$$;

-- Creates a trigger of a watch.
create function tandem.create_watch_trigger(watch bigint, member oid, operation text) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  execute format('create or replace trigger tandem_watch_%1$s after %1$s on %2$s %3$s for each statement execute function tandem.watch_%4$s()',
    operation, member::regclass, case operation
      when 'insert' then 'referencing new table as tandem_new'
      when 'update' then 'referencing old table as tandem_old new table as tandem_new'
      when 'delete' then 'referencing old table as tandem_old' else '' end, watch);
end $$;

-- The members of the family of a watched table that are not in its list.
create function tandem.new_parts(watch bigint) returns setof oid language sql stable
set search_path = pg_catalog, tandem, pg_temp as $$
  select f.oid from tandem.watched_relations r cross join tandem.family_of(r.object) as f(oid)
  where r.watch = $1 and r.part = 'table'
    and not exists (select from tandem.watched_relations l where l.watch = $1 and l.object = f.oid and l.part <> 'query')
$$;

-- Writes the list again, of a watched table and of what feature queries and its key depend on.
create function tandem.list_relations(watch bigint, root oid, views oid[], functions oid[]) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  always oid[] := array(select r.object from tandem.watched_relations r where r.watch = $1 and r.is_always);
  family oid[] := array(select tandem.family_of($2));
  keys oid[] := array(select k.oid from tandem.watched_sources w join pg_constraint k on k.contype = 'f' and k.conrelid = $2
    where w.id = $1 and w.key ~* '\mselect\M');
begin
  delete from tandem.watched_relations r where r.watch = $1;
  insert into tandem.watched_relations
    select $1, n.class, n.object, case when n.object = $2 then 'table' when n.object = any (family) then 'part' else 'query' end,
      n.name, n.facts, n.file, n.columns,
      n.object = any (family) and (n.object = any (always) or (
        select pg_has_role(s.nspowner, c.relowner, 'usage') from pg_namespace s, pg_class c where s.nspname = 'tandem' and c.oid = n.object
      ) or 4 = (select count(*) from pg_trigger g
        where g.tgrelid = n.object and g.tgfoid = to_regproc('tandem.watch_' || $1) and g.tgenabled = 'A'))
    from tandem.describe_relations(family || views || functions || keys) n
    where n.object = any (case n.class when 'pg_class'::regclass then family || views when 'pg_proc'::regclass then functions else keys end);
end $$;

-- Says in what a watch and its list differ from the catalogue.
create function tandem.examine_watch(watch bigint) returns table (reason text, detail text) language sql stable
set search_path = pg_catalog, tandem, pg_temp as $$
  with listed as materialized (select * from tandem.watched_relations r where r.watch = $1),
  family as materialized (select f.oid from listed l cross join tandem.family_of(l.object) as f(oid) where l.part = 'table')
  select 'ddl', l.name || case
      when n.object is null then ' was dropped'
      when l.part = 'part' and l.object not in (select oid from family) then ' was detached'
      else ' was changed' end
  from listed l
  left join tandem.describe_relations(array(select object from listed)) n on n.class = l.class and n.object = l.object
  where n.object is null or not l.facts <@ n.facts or (n.file <> l.file and n.columns <> l.columns)
    or (l.part = 'part' and l.object not in (select oid from family))
  union all
  select 'ddl', p.oid::regclass::text || ' was added' from tandem.new_parts($1) as p(oid)
  union all
  select 'triggers', p.name || ': a trigger is missing or disabled, or does not fire in sessions that replay changes'
  from listed l cross join tandem.missing_triggers($1, l.object) m join listed p on p.object = m.member
  where l.part = 'table'
$$;

-- Gives the triggers of a watch to new partitions that are empty: they change no features. The lock of the triggers excludes
-- writers, so a table that is empty behind it has no open rows either.
create function tandem.add_parts(watch bigint) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp set lock_timeout = '1ms' set row_security = off as $$
declare
  one oid;
  has_rows boolean;
begin
  for one in select tandem.new_parts($1) loop
    begin
      perform tandem.create_watch_trigger($1, one, o) from unnest(array['insert', 'update', 'delete', 'truncate']) as o;
      execute format('select exists (select from only %s)', one::regclass) into has_rows;
      if has_rows then raise 'the partition has rows'; end if;
      insert into tandem.watched_relations
        select $1, n.class, n.object, 'part', n.name, n.facts, n.file, n.columns, false
        from tandem.describe_relations(array[one]) n where n.class = 'pg_class'::regclass;
      -- After the list, since this change of the table is noticed, too.
      if exists (select from tandem.watched_relations r where r.watch = $1 and r.part = 'table' and r.is_always) then
        execute format('alter table only %s enable always trigger tandem_watch_insert, enable always trigger tandem_watch_update,
          enable always trigger tandem_watch_delete, enable always trigger tandem_watch_truncate', one::regclass);
        update tandem.watched_relations r set is_always = true where r.watch = $1 and r.object = one;
      end if;
    exception when others then
      -- The examination reports the partition.
      null;
    end;
  end loop;
end $$;

-- Marks the watches that a change of the schema concerns, in its transaction. It never fails and never waits.
create function tandem.notice_ddl() returns event_trigger language plpgsql security definer
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  changed oid[];
  one bigint;
begin
  if tg_event = 'sql_drop' then
    -- A dropped trigger leaves its table.
    changed := array(select case d.object_type when 'trigger' then to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))
        else d.objid end
      from pg_event_trigger_dropped_objects() d where not d.is_temporary
        and (d.classid in ('pg_class'::regclass, 'pg_proc'::regclass) or d.address_names[3] like 'tandem_watch_%'));
  else
    changed := array(select c.objid from pg_event_trigger_ddl_commands() c
      where c.schema_name is distinct from 'pg_temp' and c.classid in ('pg_class'::regclass, 'pg_proc'::regclass));
  end if;
  if cardinality(changed) = 0 then return; end if;
  for one in
    select distinct r.watch from tandem.watched_relations r
    where r.object = any (changed) or r.object = any (array(select i.inhparent from pg_inherits i where i.inhrelid = any (changed)))
  loop
    perform tandem.add_parts(one);
    -- A fault that is visible may be ended before this transaction commits. An older snapshot may not see the current list.
    insert into tandem.watch_faults (watch, predictor, reason, detail)
      select w.id, p.name, e.reason, left(e.detail, 1000)
      from tandem.watched_sources w cross join unnest(w.predictors) as p(name) cross join lateral (
        select x.reason, min(x.detail) as detail from tandem.examine_watch(w.id) x group by 1
        union
        select 'ddl', tg_tag || ' while the watch had a fault, or in a transaction with an older snapshot'
        where current_setting('transaction_isolation') <> 'read committed'
          or exists (select from tandem.watch_faults f where f.watch = w.id)) e
      where w.id = one;
  end loop;
exception when others then
  begin
    insert into tandem.watch_faults (watch, predictor, reason, detail)
      select w.id, p.name, 'ddl', left(tg_tag || ': ' || sqlerrm, 1000)
      from tandem.watched_sources w cross join unnest(w.predictors) as p(name);
  exception when others then
    null;
  end;
end $$;

-- Creates the event triggers, which need a superuser. Without them, workers detect a change a few seconds later.
create function tandem.create_event_triggers() returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pg_event_trigger where evtname = 'tandem_ddl') then
    create event trigger tandem_ddl on ddl_command_end
      when tag in ('ALTER TABLE', 'CREATE TABLE', 'ALTER FOREIGN TABLE', 'CREATE FOREIGN TABLE', 'ALTER VIEW', 'CREATE VIEW',
        'ALTER MATERIALIZED VIEW', 'ALTER FUNCTION', 'CREATE FUNCTION', 'ALTER ROUTINE')
      execute function tandem.notice_ddl();
    alter event trigger tandem_ddl enable always;
  end if;
  if not exists (select from pg_event_trigger where evtname = 'tandem_drop') then
    create event trigger tandem_drop on sql_drop execute function tandem.notice_ddl();
    alter event trigger tandem_drop enable always;
  end if;
exception when insufficient_privilege then
  null;
end $$;

-- `family_of` and `missing_triggers` only read the catalogue, for each login that lists watches.
revoke all on function tandem.describe_relations(oid[]), tandem.create_watch_trigger(bigint, oid, text),
  tandem.new_parts(bigint), tandem.list_relations(bigint, oid, oid[], oid[]), tandem.examine_watch(bigint),
  tandem.add_parts(bigint), tandem.notice_ddl(), tandem.create_event_triggers() from public;

-- Watches of earlier releases. Workers add what feature queries read.
select tandem.list_relations(w.id, t.oid, '{}', '{}') from tandem.watched_sources w cross join lateral (
  select g.tgrelid as oid from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
  where g.tgfoid = to_regproc('tandem.watch_' || w.id)
    and not exists (select from pg_catalog.pg_inherits i where i.inhrelid = g.tgrelid)
  order by c.relkind <> 'p', c.oid limit 1) t;

select tandem.create_event_triggers();
