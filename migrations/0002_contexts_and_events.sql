-- A user's context and the events that raise its version. An application may insert into tandem.events in its own
-- transaction (also from its own trigger): the statement-level trigger below raises the version there and then, so the
-- COMMIT is the acknowledgement. The HTTP route inserts the same rows: one rule for both.

create table tandem.user_contexts (
  user_id text collate "C" primary key check (octet_length(user_id) between 1 and 128),
  version bigint not null default 0,
  -- Predictor name -> the last version that concerns it.
  touched jsonb not null default '{}',
  -- The version at which the user was erased; equal to version while erased.
  deleted_version bigint not null default 0,
  -- Feature name -> {"value", "accepted": ms since 1970 on this clock, "time": ms, "source", "id"}.
  features jsonb not null default '{}',
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 80);
create index user_contexts_erased on tandem.user_contexts (user_id) where deleted_version > 0;

-- What was sent, in order of arrival. Order and time of arrival are set by the trigger below, whatever an application
-- says of them: both decide what an event does.
create table tandem.events (
  seq bigint primary key,
  source text not null default 'sql',
  id text not null default gen_random_uuid()::text,
  type text not null default 'user.changed',
  user_id text not null,
  time timestamptz,
  data jsonb,
  accepted_at timestamptz not null default clock_timestamp()
);
create sequence tandem.events_seq owned by tandem.events.seq;
create index events_accepted_at on tandem.events using brin (accepted_at);

-- Which events were applied, and the version each produced; the memory that makes a repeated event harmless.
create table tandem.event_ids (
  source text collate "C" not null,
  id text collate "C" not null,
  payload_hash bytea not null,
  user_id text collate "C" not null,
  context_version bigint not null,
  accepted_at timestamptz not null default clock_timestamp(),
  primary key (source, id)
);
create index event_ids_accepted_at on tandem.event_ids using brin (accepted_at);

-- What Redis has not been told yet.
create table tandem.outbox (
  seq bigint generated always as identity primary key,
  user_id text collate "C" not null,
  context_version bigint not null,
  -- Names in the events' data that no predictor uses, once for each event. They are counted when the row is relayed: a
  -- counter raised by the event itself would make all senders of one name wait for each other.
  unused_names text[]
);

-- Names in events' data that no predictor uses: ignored, and counted here.
create table tandem.unused_event_names (
  name text primary key,
  events bigint not null,
  last_seen timestamptz not null default clock_timestamp()
);

-- One row, changed whenever predictors or what they say of events change. A transaction that sent events under a snapshot
-- from before such a change would apply the old rules: it fails here instead, with SQLSTATE 40001.
create table tandem.event_rules (
  one boolean primary key default true check (one),
  changed_at timestamptz not null default clock_timestamp()
);
insert into tandem.event_rules default values;

create function tandem.stamp_event() returns trigger language plpgsql security definer as $$
begin
  new.seq := pg_catalog.nextval('tandem.events_seq');
  new.accepted_at := pg_catalog.clock_timestamp();
  return new;
end $$;
create trigger stamp_event before insert on tandem.events for each row execute function tandem.stamp_event();

create function tandem.event_payload_hash(type text, user_id text, "time" timestamptz, data jsonb) returns bytea
language sql immutable as $$
  select sha256(convert_to(jsonb_build_array(type, user_id, extract(epoch from "time"), data)::text, 'UTF8'))
$$;

-- Why a user id is refused, or null. The rule stands once more in libs/prediction/user-id.ts, whose test compares them.
create function tandem.user_id_problem(user_id text, key_type text) returns text language sql immutable as $$
  select case
    when user_id is null or user_id = '' then 'a user id is not empty'
    when octet_length(user_id) > 128 then 'a user id has at most 128 bytes'
    when user_id ~ '[[:cntrl:]]' then 'a user id has no control characters'
    when key_type = 'int8' and user_id !~ '^(0|-?[1-9][0-9]{0,18})$' then 'a user id is a whole number without leading zeros or sign +'
    when key_type = 'int8' and user_id::numeric not between -9223372036854775808 and 9223372036854775807 then 'a user id fits 64 bits'
    when key_type = 'uuid' and user_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then 'a user id is a lower-case uuid'
    when key_type = 'text' and user_id is not nfc normalized then 'a user id is in Unicode normalization form C'
  end
$$;

-- Refuses an event: SQLSTATE TD422 (bad event) or TD409 (id used for another payload); the detail is JSON for the API.
-- `position` counts the statement's events from 1, in their order of arrival.
create function tandem.refuse_event(code text, "position" bigint, source text, id text, field text, message text, hint text)
returns void language plpgsql as $$
begin
  raise exception using errcode = code, message = message,
    detail = jsonb_build_object('index', "position" - 1, 'source', source, 'id', id, 'field', field)::text, hint = hint;
end $$;

-- What is wrong with an event apart from its feature values: {field, message, hint}, or null.
create function tandem.event_problem(e tandem.events, key_type text, horizon interval, now timestamptz) returns text[]
language sql stable as $$
  select case
    when tandem.user_id_problem(e.user_id, key_type) is not null
      then array['subject', tandem.user_id_problem(e.user_id, key_type), 'send the user id in its canonical spelling']
    when octet_length(e.id) not between 1 and 256
      then array['id', 'an event id has 1 to 256 bytes', 'give the event a shorter id, or one at all']
    when octet_length(e.source) not between 1 and 256
      then array['source', 'an event source has 1 to 256 bytes', 'give the event a shorter source, or one at all']
    when octet_length(e.type) not between 1 and 256
      then array['type', 'an event type has 1 to 256 bytes', 'give the event a shorter type, or one at all']
    when e.time > now + interval '5 minutes'
      then array['time', 'the event''s time is more than 5 minutes ahead of the database''s clock', 'mend the sender''s clock, or send no time']
    when e.time < now - horizon
      then array['time', 'the event''s time is older than the event horizon (' || horizon || ')',
        'send it without a time, or not at all: a duplicate of so old an event could not be recognised']
    when jsonb_typeof(e.data) <> 'object'
      then array['data', 'an event''s data is an object of feature values', 'send an object, or no data']
  end
$$;

-- Whether a value may stand for a feature of a kind. Numbers are those that a double holds, integers those it holds exactly.
create function tandem.is_of_kind(value jsonb, kind text) returns boolean language sql immutable as $$
  select case jsonb_typeof(value)
    when 'null' then true
    when 'number' then case kind
      when 'number' then abs(value::numeric) <= 1.7976931348623157e308
      when 'integer' then abs(value::numeric) <= 9007199254740991 and value::numeric % 1 = 0
      else false end
    else jsonb_typeof(value) = kind end
$$;

-- Feature name -> {kind: predictor}, of everything that an event's data is checked for. A predictor that is not served
-- refuses nothing.
create function tandem.event_feature_kinds() returns jsonb language sql stable as $$
  select coalesce(jsonb_object_agg(name, kinds), '{}') from (
    select f.key as name, jsonb_object_agg(f.value #>> '{}', p.name) as kinds
    from tandem.predictors p, jsonb_each(p.event_features) f where p.active group by f.key) named
$$;

-- Refuses the first event of a batch that is not right.
create function tandem.check_events(batch tandem.events[], kinds jsonb) returns void language plpgsql stable as $$
declare
  found_key_type text;
  horizon interval;
  now timestamptz := clock_timestamp();
  bad record;
begin
  select key_type, event_horizon into found_key_type, horizon from tandem.settings;
  select b.position, b.source, b.id, b.problem into bad from (
    select e.position, e.source, e.id,
      tandem.event_problem(row(e.seq, e.source, e.id, e.type, e.user_id, e.time, e.data, e.accepted_at)::tandem.events,
        found_key_type, horizon, now) as problem
    from unnest(batch) with ordinality as e(seq, source, id, type, user_id, time, data, accepted_at, position)
  ) b where b.problem is not null order by b.position limit 1;
  if found then
    perform tandem.refuse_event('TD422', bad.position, bad.source, bad.id, bad.problem[1], bad.problem[2], bad.problem[3]);
  end if;
  select e.position, e.source, e.id, v.key as name, k.key as kind, k.value as predictor, v.value into bad
  from unnest(batch) with ordinality as e(seq, source, id, type, user_id, time, data, accepted_at, position),
    jsonb_each(e.data) v, jsonb_each_text(kinds -> v.key) k
  where not tandem.is_of_kind(v.value, k.key)
  order by e.position limit 1;
  if found then
    perform tandem.refuse_event('TD422', bad.position, bad.source, bad.id, 'data.' || bad.name,
      'feature ' || bad.name || ' of predictor ' || bad.predictor || ' is of kind ' || bad.kind || ', the event sends ' || left(bad.value::text, 40),
      case bad.kind when 'integer' then 'send a whole number of at most 15 digits' else 'send a ' || bad.kind end || ' (or null to withdraw the value)');
  end if;
end $$;

-- The context's features after new ones: per name the value of the latest event time, ties by source, then id. A null
-- withdraws the event value, so that the feature source's row counts again; it stays here for its time.
create function tandem.merge_features(known jsonb, fresh jsonb) returns jsonb language sql immutable as $$
  select known || coalesce((
    select jsonb_object_agg(f.key, f.value) from jsonb_each(fresh) f
    where known -> f.key is null
      or ((f.value ->> 'time')::numeric, f.value ->> 'source' collate "C", f.value ->> 'id' collate "C")
       > ((known -> f.key ->> 'time')::numeric, known -> f.key ->> 'source' collate "C", known -> f.key ->> 'id' collate "C")
  ), '{}')
$$;

-- Gives the new ones of a batch their context versions: contexts, event ids and outbox. The users' rows are locked.
-- Predictors that are not served now are kept up to date all the same, since they may be adopted again.
create function tandem.apply_events(batch tandem.events[]) returns void language plpgsql as $$
begin
  with rules as materialized (
    select name, event_patterns, array(select jsonb_object_keys(event_features)) as event_features from tandem.predictors
  ), known as materialized (
    select coalesce(jsonb_object_agg(f.name, true), '{}') as names from rules, unnest(event_features) as f(name)
  ), numbered as materialized (
    -- An erased user's version stays, and its events lose their data.
    select e.seq, e.source, e.id, e.type, e.user_id, e.time, e.accepted_at, c.erased,
      case when not c.erased then e.data end as data, tandem.event_payload_hash(e.type, e.user_id, e.time, e.data) as payload_hash,
      case when c.erased then c.version else c.version + row_number() over (partition by e.user_id order by e.seq) end as context_version
    from unnest(batch) e,
      lateral (select version, deleted_version > 0 and version = deleted_version as erased
        from tandem.user_contexts where user_id = e.user_id collate "C") c
  ), remembered as (
    insert into tandem.event_ids (source, id, payload_hash, user_id, context_version)
    select source, id, payload_hash, user_id, context_version from numbered order by source collate "C", id collate "C"
  ), dropped as (
    update tandem.events e set data = null from numbered n where e.seq = n.seq and n.erased and e.data is not null
  ), carried as (
    select n.user_id, n.seq, v.key as name, k.names ? v.key as used, n.source, n.id,
      extract(epoch from coalesce(n.time, n.accepted_at)) * 1000 as time, n.accepted_at, v.value
    from numbered n, known k, jsonb_each(n.data) v
  ), latest as (
    select distinct on (user_id, name) user_id, name, jsonb_build_object('value', value,
      'accepted', extract(epoch from accepted_at) * 1000, 'time', time, 'source', source, 'id', id) as entry
    from carried where used
    order by user_id, name, time desc, source collate "C" desc, id collate "C" desc
  ), features as (
    select user_id, jsonb_object_agg(name, entry) as fresh from latest group by user_id
  ), unused as (
    select user_id, array_agg(name) as names from carried where not used and octet_length(name) <= 128 group by user_id
  ), touched as (
    select user_id, jsonb_object_agg(predictor, context_version) as touched from (
      select n.user_id, r.name as predictor, max(n.context_version) as context_version
      from numbered n, rules r
      -- A value changes the features of whoever uses its name, whatever the event's type.
      where not n.erased and (n.type like any (r.event_patterns) or n.data ?| r.event_features)
      group by n.user_id, r.name) last
    group by user_id
  ), changed as (
    select u.user_id, u.version, u.erased, t.touched, f.fresh, n.names
    from (select user_id, max(context_version) as version, bool_or(erased) as erased from numbered group by user_id) u
    left join touched t using (user_id) left join features f using (user_id) left join unused n using (user_id)
  ), announced as (
    insert into tandem.outbox (user_id, context_version, unused_names)
    select user_id, version, names from changed order by user_id collate "C"
  )
  update tandem.user_contexts c set
    version = g.version,
    touched = c.touched || coalesce(g.touched, '{}'),
    features = case when g.fresh is null then c.features else tandem.merge_features(c.features, g.fresh) end,
    updated_at = clock_timestamp()
  from changed g where c.user_id = g.user_id collate "C" and not g.erased;
end $$;

-- Every statement below is linear in the batch: no self-join of it, and each table is reached by its index, whatever the
-- statistics were when a session planned it. 10,000 events of as many users take 0.8 s, one event 0.4 ms.
create function tandem.accept_events() returns trigger language plpgsql security definer
set search_path = pg_catalog, tandem
set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
declare
  batch tandem.events[];
  seen record;
begin
  -- Before everything else, and until the end of the transaction: whoever changes what concerns whom waits for those
  -- who send events, so that none of these commits by rules that no longer hold (libs/offline-store/event-rules.ts).
  perform pg_advisory_xact_lock_shared(1413567556, 1163284052);
  if current_setting('transaction_isolation') <> 'read committed' then
    perform from tandem.event_rules for share;
  end if;
  batch := array(select row(i.seq, i.source, i.id, i.type, i.user_id, i.time, i.data, i.accepted_at)::tandem.events from incoming i order by i.seq);
  if cardinality(batch) = 0 then return null; end if;
  perform tandem.check_events(batch, tandem.event_feature_kinds());

  -- Users first, in order: whoever changes several users locks them in the same order, and two transactions with the
  -- same event id meet at the user's row, where the second sees what the first recorded.
  insert into tandem.user_contexts (user_id)
    select distinct e.user_id collate "C" from unnest(batch) e order by 1 on conflict do nothing;
  perform from tandem.user_contexts
    where user_id = any (array(select distinct e.user_id collate "C" from unnest(batch) e)) order by user_id for update;

  -- Duplicates leave the log; what stays is new. The same id with another payload is nobody's duplicate.
  select
    min(m.position) filter (where m.payload_hash <> m.first_hash) as conflict,
    array_agg(m.seq) filter (where m.repeated) as repeated,
    array_agg(row(m.seq, m.source, m.id, m.type, m.user_id, m.time, m.data, m.accepted_at)::tandem.events order by m.seq)
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
    delete from tandem.events where seq = any (seen.repeated);
  end if;
  if seen.fresh is not null then
    perform tandem.apply_events(seen.fresh);
  end if;
  return null;
end $$;

create trigger accept_events after insert on tandem.events
  referencing new table as incoming for each statement execute function tandem.accept_events();

-- Inserts a batch of events, as the HTTP route sends it, and says what became of each: one round trip, one transaction.
-- A user whom another transaction holds is waited for `lock_ms` milliseconds.
create function tandem.send_events(sent jsonb, lock_ms int)
returns table (user_id text, context_version bigint, status text, history text) language plpgsql
set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  seqs bigint[];
begin
  perform set_config('lock_timeout', lock_ms || 'ms', true);
  with inserted as (
    insert into tandem.events (source, id, type, user_id, time, data)
    select e.source, e.id, e.type, e."userId", e.time, nullif(e.data, 'null')
    from rows from (jsonb_to_recordset(sent) as (source text, id text, type text, "userId" text, time timestamptz, data jsonb))
      with ordinality as e(source, id, type, "userId", time, data, position)
    order by e.position
    returning seq
  )
  select array_agg(seq order by seq) into seqs from inserted;
  return query
    select k.user_id, k.context_version,
      case when not exists (select from tandem.events l where l.seq = seqs[e.position]) then 'duplicate'
        when c.erased then 'erased' else 'accepted' end,
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
