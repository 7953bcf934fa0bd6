-- Partitions tandem.events by day, so that the events of a day go in one piece. An insert never waits for partitions to be
-- made or dropped: there is no default partition, so that both take locks that inserts do not meet.
--
-- The table of before stays beside, as tandem.events_before: nothing is scanned here, and all locks are held for milliseconds.
-- Its rows expire one by one; a later release drops it. It is no partition, since workers of the release before delete
-- expired rows of tandem.events by ctid, which tells rows apart within one partition alone. An erasure by such a process
-- leaves the event data in it to the sweeps of this release's workers.
set local lock_timeout = '100ms';

alter table tandem.events rename to events_before;
alter index tandem.events_pkey rename to events_before_pkey;
alter index tandem.events_with_data rename to events_before_with_data;
drop trigger stamp_event on tandem.events_before;
drop trigger accept_events on tandem.events_before;

-- The partition that takes an event that is sent now: today's, within the days that there are partitions of. Where no worker
-- made any for days, the last one takes all; where the clock was set back, the first. Replaced by make_event_days.
create function tandem.event_day() returns date return (clock_timestamp() at time zone 'UTC')::date;
-- Of those who insert events; they need no other right than that.
grant execute on function tandem.event_day() to public;

create table tandem.events (
  seq bigint not null,
  source text not null default 'sql',
  id text not null default gen_random_uuid()::text,
  type text not null default 'user.changed',
  user_id text not null,
  time timestamptz,
  data jsonb,
  accepted_at timestamptz not null default clock_timestamp(),
  -- Not set by the trigger, as the others are: a row cannot change its partition there.
  day date not null default tandem.event_day(),
  primary key (seq, day)
) partition by range (day);
create index events_with_data on tandem.events (user_id collate "C") where data is not null;
alter sequence tandem.events_seq owned by tandem.events.seq;

-- Makes the partitions of today (UTC) and the three days to come. Attaching one does not wait for inserts, nor they for it.
create function tandem.make_event_days() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  today constant date := (clock_timestamp() at time zone 'UTC')::date;
  made boolean := false;
  day date;
  partition text;
begin
  for i in 0..3 loop
    day := today + i;
    partition := 'tandem.events_' || to_char(day, 'YYYYMMDD');
    continue when exists (
      select from pg_inherits where inhrelid = to_regclass(partition) and inhparent = 'tandem.events'::regclass);
    execute format('drop table if exists %s', partition);
    execute format('create table %s (like tandem.events)', partition);
    execute format('alter table tandem.events attach partition %s for values from (%L) to (%L)', partition, day, day + 1);
    made := true;
  end loop;
  if made then
    execute format('create or replace function tandem.event_day() returns date return greatest(date %L, least(date %L,
      (clock_timestamp() at time zone ''UTC'')::date))', today, today + 3);
  end if;
end $$;
select tandem.make_event_days();

-- Whoever may use the table of before may use this one.
do $$
declare
  given record;
begin
  for given in
    select g.grantee, g.privilege_type || coalesce(' (' || quote_ident(g.attname) || ')', '') as privilege, g.is_grantable
    from (
      select a.*, null::name as attname from pg_class c, aclexplode(c.relacl) a where c.oid = 'tandem.events_before'::regclass
      union all
      select a.*, t.attname from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = 'tandem.events_before'::regclass
    ) g
  loop
    execute format('grant %s on tandem.events to %s%s', given.privilege,
      case given.grantee when 0 then 'public' else given.grantee::regrole::text end,
      case when given.is_grantable then ' with grant option' else '' end);
  end loop;
end $$;

-- An event as the functions of the trigger hand it on: no longer a row of the table, which may have further columns.
create type tandem.event as (
  seq bigint,
  source text,
  id text,
  type text,
  user_id text,
  time timestamptz,
  data jsonb,
  accepted_at timestamptz
);

-- event_problem (0024), check_events (0003) and apply_events (0022) take that type, and are otherwise as they were; but
-- apply_events no longer drops the data of erased users: its update looked into every partition, at each event.
do $$
declare
  old record;
begin
  perform set_config('search_path', 'pg_catalog', true);
  for old in
    select p.oid::regprocedure as signature, pg_get_functiondef(p.oid) as definition from pg_proc p
    where p.pronamespace = 'tandem'::regnamespace and exists (
      select from pg_type t where t.typrelid = 'tandem.events_before'::regclass and t.oid = any (p.proargtypes)
        or t.typarray = any (p.proargtypes) and t.typrelid = 'tandem.events_before'::regclass)
  loop
    execute regexp_replace(
      regexp_replace(old.definition, '\), dropped as \(\s+update tandem\.events [^)]*\), carried', '), carried'),
      'tandem\.events(_before)?\M', 'tandem.event', 'g');
    execute format('drop function %s', old.signature);
  end loop;
end $$;

-- As in 0004, with the settings of 0020 and 0025. What concerns rows of the log is said with their days, to statements that
-- are planned each time: others lock every partition.
create or replace function tandem.accept_events() returns trigger language plpgsql security definer
set search_path = pg_catalog, tandem, pg_temp
set enable_seqscan = off
set enable_indexscan = on
set enable_nestloop = on
set plan_cache_mode = force_generic_plan
set jit = off
set standard_conforming_strings = on
set intervalstyle = 'postgres' as $$
declare
  batch tandem.event[];
  has_erased boolean;
  seen record;
begin
  -- Before everything else, and until the end of the transaction: whoever changes what concerns whom waits for those
  -- who send events, so that none of these commits by rules that no longer hold (libs/offline-store/events/event-rules.ts).
  perform pg_advisory_xact_lock_shared(1413567556, 1163284052);
  if current_setting('transaction_isolation') <> 'read committed' then
    perform from tandem.event_rules for share;
  end if;
  batch := array(select row(i.seq, i.source, i.id, i.type, i.user_id, i.time, i.data, i.accepted_at)::tandem.event from incoming i order by i.seq);
  if cardinality(batch) = 0 then return null; end if;
  perform tandem.check_events(batch, tandem.event_feature_kinds());

  -- Users first, in order: whoever changes several users locks them in the same order, and two transactions with the
  -- same event id meet at the user's row, where the second sees what the first recorded.
  insert into tandem.user_contexts (user_id)
    select distinct e.user_id collate "C" from unnest(batch) e order by 1 on conflict do nothing;
  select bool_or(locked.erased) into has_erased from (
    select c.deleted_version > 0 and c.version = c.deleted_version as erased from tandem.user_contexts c
    where c.user_id = any (array(select distinct e.user_id collate "C" from unnest(batch) e)) order by c.user_id for update) locked;

  -- Duplicates leave the log; what stays is new. The same id with another payload is nobody's duplicate.
  select
    min(m.position) filter (where m.payload_hash <> m.first_hash) as conflict,
    array_agg(m.seq) filter (where m.repeated) as repeated,
    array_agg(row(m.seq, m.source, m.id, m.type, m.user_id, m.time, m.data, m.accepted_at)::tandem.event order by m.seq)
      filter (where not m.repeated) as fresh
  into seen from (
    select h.*, coalesce(k.payload_hash, first_value(h.payload_hash) over same) as first_hash,
      k.payload_hash is not null or row_number() over same > 1 as repeated
    from (
      select e.*, tandem.event_payload_hash(e.type, e.user_id, e.time, e.data) as payload_hash
      from unnest(batch) with ordinality as e(seq, source, id, type, user_id, time, data, accepted_at, position)
    ) h
    left join lateral (
      select payload_hash from tandem.event_ids k where k.source = h.source collate "C" and k.id = h.id collate "C" offset 0
    ) k on true
    window same as (partition by h.source, h.id order by h.position)
  ) m;
  if seen.conflict is not null then
    perform tandem.refuse_event('TD409', seen.conflict, batch[seen.conflict].source, batch[seen.conflict].id, 'id',
      'this event id was used before, for another event', 'give each event an id of its own; repeat an event unchanged');
  end if;
  if seen.repeated is not null then
    execute 'delete from tandem.events where seq = any ($1) and day = any ($2)'
      using seen.repeated, array(select distinct i.day from incoming i);
    -- For send_events.
    perform set_config('tandem.repeated_events', array_to_string(seen.repeated, ','), true);
  end if;
  if seen.fresh is not null then
    perform tandem.apply_events(seen.fresh);
    -- An erased user's events lose their data.
    if has_erased then
      execute 'update tandem.events e set data = null from tandem.user_contexts c
        where e.seq = any ($1) and e.day = any ($2) and e.data is not null
          and c.user_id = e.user_id collate "C" and c.deleted_version > 0 and c.version = c.deleted_version'
        using array(select i.seq from incoming i), array(select distinct i.day from incoming i);
    end if;
  end if;
  return null;
end $$;

create trigger stamp_event before insert on tandem.events for each row execute function tandem.stamp_event();
create trigger accept_events after insert on tandem.events
  referencing new table as incoming for each statement execute function tandem.accept_events();

-- As in 0004; the trigger tells which events were repeated.
create or replace function tandem.send_events(sent jsonb, lock_ms int)
returns table (user_id text, context_version bigint, status text, history text) language plpgsql
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off as $$
#variable_conflict use_column
declare
  seqs bigint[];
  repeated bigint[];
begin
  perform set_config('lock_timeout', lock_ms || 'ms', true), set_config('tandem.repeated_events', '', true);
  with inserted as (
    insert into tandem.events (source, id, type, user_id, time, data)
    select e.source, e.id, e.type, e."userId", e.time, nullif(e.data, 'null')
    from rows from (jsonb_to_recordset(sent) as (source text, id text, type text, "userId" text, time timestamptz, data jsonb))
      with ordinality as e(source, id, type, "userId", time, data, position)
    order by e.position
    returning seq
  )
  select array_agg(seq order by seq) into seqs from inserted;
  repeated := string_to_array(current_setting('tandem.repeated_events'), ',');
  return query
    select k.user_id, k.context_version,
      case when seqs[e.position] = any (repeated) then 'duplicate' when c.erased then 'erased' else 'accepted' end,
      h.history
    from (select tandem.current_history() as history offset 0) h,
      rows from (jsonb_to_recordset(sent) as (source text, id text)) with ordinality as e(source, id, position),
      lateral (
        select user_id, context_version from tandem.event_ids
        where source = e.source collate "C" and id = e.id collate "C" offset 0) k,
      lateral (
        select deleted_version > 0 and version = deleted_version as erased from tandem.user_contexts
        where user_id = k.user_id offset 0) c
    order by e.position;
end $$;

-- How far each step of expiry has come (libs/offline-store/retention.ts), and the lock by which one worker at a time is at it.
create table tandem.expiry_steps (
  step text primary key,
  -- Where its next batch begins: before that it has left nothing. Its own form of each step; null: at the oldest rows.
  position jsonb
);
