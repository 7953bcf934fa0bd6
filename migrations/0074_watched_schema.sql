-- Changes of the schema that change features without a change of a row: a partition is detached, a column gets another type, a
-- view or function of the feature query is replaced, a trigger is disabled. Event triggers mark a watch as faulted in the
-- transaction of such a change, where the migrating role may create them. Workers compare every few seconds anyway, repair what
-- they can, and settle the watch.
set local lock_timeout = '100ms';

alter table tandem.watched_sources
  -- The watched table. A detached partition keeps the triggers, so these do not say which table it is.
  add column relation oid,
  -- The views and functions that feature queries of the predictors read.
  add column views oid[] not null default '{}',
  add column functions oid[] not null default '{}',
  -- Whether the triggers fire in every session, which requires the owner of the table.
  add column is_always boolean not null default false,
  -- What tandem.form_of returned when the watch was made or repaired. Null: made by an earlier release.
  add column form text[];

-- A table with its partitions and the tables that inherit from it.
create function tandem.family_of(relation oid) returns setof oid language sql stable
set search_path = pg_catalog, pg_temp as $$
  with recursive family(member) as (
    select c.oid from pg_class c where c.oid = relation
    union select i.inhrelid from pg_inherits i join family f on f.member = i.inhparent
  ) select member from family
$$;

-- Whether event triggers see each change of the schema.
create function tandem.sees_ddl() returns boolean language sql stable set search_path = pg_catalog, pg_temp as $$
  select count(*) = 3 from pg_event_trigger where evtname in ('tandem_ddl', 'tandem_drop', 'tandem_rewrite') and evtenabled = 'A'
$$;

-- The form of everything that a watch depends on, one text for each fact.
create function tandem.form_of(w tandem.watched_sources) returns text[] language sql stable
set search_path = pg_catalog, tandem, pg_temp as $$
  select array(
    select format('table %s', f) from tandem.family_of(w.relation) f
    union all select format('part %s of %s', i.inhrelid, i.inhparent) from pg_inherits i
      where i.inhparent in (select tandem.family_of(w.relation))
    union all select format('column %s %s %s %s %s %s', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, (
        select md5(d.adbin::text) from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated <> ''))
      from pg_attribute a where a.attrelid in (select tandem.family_of(w.relation)) and a.attnum > 0 and not a.attisdropped
    -- pg_get_viewdef would lock the tables of the view.
    union all select format('view %s %s', r.ev_class, md5(r.ev_action::text)) from pg_rewrite r where r.ev_class = any (w.views)
    union all select format('function %s %s', p.oid, md5(concat(p.prosrc, p.prosqlbody, p.proconfig)))
      from pg_proc p where p.oid = any (w.functions)
    -- Without event triggers, another file may have other values in a column. VACUUM FULL makes another file, too.
    union all select format('file %s %s', c.oid, c.relfilenode) from pg_class c
      where c.oid in (select tandem.family_of(w.relation)) and not tandem.sees_ddl()
    order by 1)
$$;

-- The triggers of a watch that are missing, disabled, or no longer fire in every session.
create function tandem.missing_triggers(w tandem.watched_sources) returns table (member oid, operation text) language sql stable
set search_path = pg_catalog, tandem, pg_temp as $$
  select f, o from tandem.family_of(w.relation) f cross join unnest(array['insert', 'update', 'delete', 'truncate']) o
  where not exists (select from pg_trigger g where g.tgrelid = f and g.tgname = 'tandem_watch_' || o
    and g.tgfoid = to_regproc('tandem.watch_' || w.id) and g.tgenabled = any (case when w.is_always then '{A}' else '{A,O}' end::"char"[]))
$$;

-- Creates missing triggers, and lets them fire in every session. Fails without the rights on a table.
create function tandem.complete_triggers(w tandem.watched_sources, members oid[]) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  one record;
begin
  for one in select m.*, 'tandem_watch_' || m.operation as name from tandem.missing_triggers(w) m where m.member = any (members) loop
    execute format('create or replace trigger %I after %s on %s %s for each statement execute function tandem.watch_%s()',
      one.name, one.operation, one.member::regclass, case one.operation
        when 'insert' then 'referencing new table as tandem_new' when 'delete' then 'referencing old table as tandem_old'
        when 'update' then 'referencing old table as tandem_old new table as tandem_new' else '' end, w.id);
    if w.is_always then
      execute format('alter table only %s enable always trigger %I', one.member::regclass, one.name);
    else
      execute format('alter table only %s enable trigger %I', one.member::regclass, one.name);
    end if;
  end loop;
end $$;

-- Returns what has changed a watch's features since its form was recorded; null if nothing has. A new partition changes
-- nothing if it is empty. Columns that are added change no feature.
create function tandem.harm_of(w tandem.watched_sources, trusts_parts boolean) returns text language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  now text[] := tandem.form_of(w);
  gone text;
  part oid;
  has_rows boolean;
begin
  select f into gone from unnest(w.form) f where not f = any (now) limit 1;
  if gone is not null then return 'changed or removed: ' || gone; end if;
  if trusts_parts then return null; end if;
  for part in select split_part(f, ' ', 2)::oid from unnest(now) f where f like 'part %' and not f = any (w.form) loop
    execute format('select exists (select from %s)', part::regclass) into has_rows;
    if has_rows then return 'attached with rows: ' || part::regclass; end if;
  end loop;
  return null;
end $$;

-- Marks a watch if its tables have changed. Gives a new, empty partition its triggers. Takes no lock that another session may
-- hold: the transaction that created the partition has it locked.
create function tandem.notice_form(w tandem.watched_sources) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  harm text := tandem.harm_of(w, false);
begin
  if harm is null then
    perform tandem.complete_triggers(w, array(
      select f from tandem.family_of(w.relation) f where not format('table %s', f) = any (w.form)));
    if not exists (select from tandem.missing_triggers(w)) then return; end if;
    perform tandem.fault_watch(w.id, 'triggers', 'a trigger was disabled or removed');
  else
    perform tandem.fault_watch(w.id, 'ddl', harm);
  end if;
end $$;

create function tandem.notice_ddl() returns event_trigger language plpgsql security definer
set search_path = pg_catalog, tandem, pg_temp
set lock_timeout = '1ms' as $$
declare
  w tandem.watched_sources;
begin
  if tg_event = 'table_rewrite' then
    -- 4: a column gets other values, even of the same type.
    if pg_event_trigger_table_rewrite_reason() & 4 = 0 then return; end if;
  elsif tg_event = 'sql_drop' then
    if not exists (select from pg_event_trigger_dropped_objects() d where not d.is_temporary) then return; end if;
  elsif not exists (select from pg_event_trigger_ddl_commands() c where c.schema_name is distinct from 'pg_temp') then
    return;
  end if;
  for w in select * from tandem.watched_sources where form is not null loop
    begin
      if tg_event <> 'table_rewrite' then
        perform tandem.notice_form(w);
      elsif pg_event_trigger_table_rewrite_oid() in (select tandem.family_of(w.relation)) then
        perform tandem.fault_watch(w.id, 'ddl', 'rewritten: ' || pg_event_trigger_table_rewrite_oid()::regclass);
      end if;
    exception when others then
      perform tandem.fault_watch(w.id, 'ddl', sqlerrm);
    end;
  end loop;
exception when others then
  -- The application's change must not fail. Workers compare all watches in a few seconds.
end $$;

-- Compares, repairs and settles every watch; one worker at a time calls it. Returns how many watches have a fault afterwards.
create function tandem.examine_watches() returns int language plpgsql security definer
set search_path = pg_catalog, tandem, pg_temp
set lock_timeout = '100ms' as $$
declare
  w tandem.watched_sources;
  harm text;
  sees_ddl boolean := tandem.sees_ddl();
begin
  if not pg_try_advisory_xact_lock(1413567558) then return 0; end if;
  for w in select * from tandem.watched_sources order by id loop
    continue when to_regproc('tandem.watch_' || w.id) is null;
    if w.form is null then
      perform tandem.record_form(w.id);
      continue;
    end if;
    begin
      harm := tandem.harm_of(w, sees_ddl);
    exception when others then
      harm := sqlerrm;
    end;
    if harm is not null then perform tandem.fault_watch(w.id, 'ddl', harm); end if;
    if exists (select from tandem.missing_triggers(w)) then
      perform tandem.fault_watch(w.id, 'triggers', 'a trigger was disabled or removed');
    end if;
    if exists (select from tandem.watch_faults f where f.watch = w.id) then
      begin
        perform tandem.repair_watch(w);
      exception when others then
        -- The fault stays until the table's owner repeats the watch.
      end;
    elsif w.form <> tandem.form_of(w) then
      perform tandem.record_form(w.id);
    end if;
  end loop;
  return (select count(distinct f.watch) from tandem.watch_faults f);
end $$;

-- Records the form of a watch. A change since the last record is a fault. The table of a watch of an earlier release is found by the triggers.
create function tandem.record_form(watch bigint) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
declare
  w tandem.watched_sources;
begin
  update tandem.watched_sources s set
    relation = t.relation, is_always = t.is_always
  from (select c.oid as relation, bool_and(g.tgenabled = 'A') as is_always from pg_trigger g join pg_class c on c.oid = g.tgrelid
    where g.tgfoid = to_regproc('tandem.watch_' || $1) and not exists (select from pg_inherits i where i.inhrelid = c.oid)
    group by c.oid, c.relkind order by c.relkind <> 'p', c.oid limit 1) t
  where s.id = $1 and s.relation is null;
  select * into w from tandem.watched_sources s where s.id = $1 and s.relation is not null;
  if w.form is not null and tandem.harm_of(w, tandem.sees_ddl()) is not null then
    perform tandem.fault_watch(w.id, 'ddl', tandem.harm_of(w, tandem.sees_ddl()));
  end if;
  update tandem.watched_sources s set form = tandem.form_of(w) where s.id = w.id;
end $$;

-- Repairs a watch and ends its faults. Fails if the table is gone, a right is missing, or the key cannot be evaluated.
create function tandem.repair_watch(w tandem.watched_sources) returns void language plpgsql
set search_path = pg_catalog, tandem, pg_temp as $$
begin
  if not exists (select from pg_class where oid = w.relation) then raise exception 'the table is gone'; end if;
  if exists (select from unnest(w.columns) c where not exists (
      select from pg_attribute a where a.attrelid = w.relation and a.attname = c and not a.attisdropped)) then
    raise exception 'a watched column is gone';
  end if;
  if w.key is not null then perform tandem.try_key(w.relation, w.key); end if;
  -- An open transaction has a null pid once it is prepared.
  if exists (select from pg_locks l join tandem.family_of(w.relation) f on f = l.relation
      where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
        and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock') and l.pid is distinct from pg_backend_pid()) then
    raise exception 'a transaction that may have missed a change is open';
  end if;
  perform tandem.complete_triggers(w, array(select tandem.family_of(w.relation)));
  perform tandem.record_form(w.id);
  perform tandem.settle_watch(w.id);
end $$;

-- Evaluates a key over no row, as the trigger does.
create function tandem.try_key(relation oid, key text) returns void language plpgsql
set search_path = pg_catalog, pg_temp
set row_security = off as $$
begin
  execute format(E'select (\n%s\n)::text from jsonb_populate_record(null::%s, ''{}'') changed limit 0', key, relation::regclass);
end $$;

do $$ begin
  create event trigger tandem_ddl on ddl_command_end
    when tag in ('ALTER TABLE', 'CREATE TABLE', 'ALTER TYPE', 'ALTER DOMAIN', 'CREATE VIEW', 'ALTER VIEW', 'CREATE FUNCTION',
      'ALTER FUNCTION', 'ALTER ROUTINE', 'IMPORT FOREIGN SCHEMA')
    execute function tandem.notice_ddl();
  create event trigger tandem_drop on sql_drop execute function tandem.notice_ddl();
  create event trigger tandem_rewrite on table_rewrite execute function tandem.notice_ddl();
  alter event trigger tandem_ddl enable always;
  alter event trigger tandem_drop enable always;
  alter event trigger tandem_rewrite enable always;
exception when insufficient_privilege then
  raise notice 'Event triggers need a superuser. Workers detect changes of watched tables within a few seconds instead.';
end $$;

revoke all on function tandem.family_of(oid), tandem.sees_ddl(), tandem.form_of(tandem.watched_sources), tandem.missing_triggers(tandem.watched_sources),
  tandem.complete_triggers(tandem.watched_sources, oid[]), tandem.harm_of(tandem.watched_sources, boolean),
  tandem.notice_form(tandem.watched_sources), tandem.record_form(bigint), tandem.repair_watch(tandem.watched_sources),
  tandem.try_key(oid, text), tandem.examine_watches() from public;
-- Workers may have a login of their own, which reads this table.
do $$ declare login text; begin
  for login in
    select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
    from pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    where c.oid = 'tandem.watched_sources'::regclass and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
  loop
    execute format('grant execute on function tandem.examine_watches() to %s', login);
  end loop;
end $$;
