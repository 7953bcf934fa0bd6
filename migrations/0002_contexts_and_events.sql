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

-- What was sent, in order of arrival.
create table tandem.events (
  seq bigint generated always as identity primary key,
  source text not null default 'sql',
  id text not null default gen_random_uuid()::text,
  type text not null default 'user.changed',
  user_id text not null,
  time timestamptz,
  data jsonb,
  accepted_at timestamptz not null default clock_timestamp()
);
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
  context_version bigint not null
);

-- Names in events' data that no predictor uses: ignored, and counted here.
create table tandem.unused_event_names (
  name text primary key,
  events bigint not null,
  last_seen timestamptz not null default clock_timestamp()
);

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
create function tandem.refuse_event(code text, source text, id text, field text, message text, hint text) returns void
language plpgsql as $$
begin
  raise exception using errcode = code, message = message,
    detail = jsonb_build_object('source', source, 'id', id, 'field', field)::text, hint = hint;
end $$;

create function tandem.check_events(incoming tandem.events[]) returns void language plpgsql stable as $$
declare
  bad record;
  found_key_type text;
  horizon interval;
begin
  select key_type, event_horizon into found_key_type, horizon from tandem.settings;
  select e.source, e.id, problem.field, problem.message, problem.hint into bad
  from unnest(incoming) with ordinality as e(seq, source, id, type, user_id, time, data, accepted_at, position),
  lateral (
    select 'subject', tandem.user_id_problem(e.user_id, found_key_type), 'send the user id in its canonical spelling'
    union all select 'id', case when octet_length(e.id) not between 1 and 256 then 'an event id has 1 to 256 bytes' end, 'shorten the id'
    union all select 'source', case when octet_length(e.source) not between 1 and 256 then 'an event source has 1 to 256 bytes' end, 'shorten the source'
    union all select 'type', case when octet_length(e.type) not between 1 and 256 then 'an event type has 1 to 256 bytes' end, 'shorten the type'
    union all select 'time', case when e.time > clock_timestamp() + interval '5 minutes' then 'the event''s time is more than 5 minutes ahead of the database''s clock' end, 'mend the sender''s clock, or send no time'
    union all select 'time', case when e.time < clock_timestamp() - horizon then 'the event''s time is older than the event horizon (' || horizon || ')' end, 'send it without a time, or not at all: a duplicate of so old an event could not be recognised'
    union all select 'data', case when e.data is not null and jsonb_typeof(e.data) <> 'object' then 'an event''s data is an object of feature values' end, 'send an object, or no data'
    union all
    select 'data.' || f.name, 'feature ' || f.name || ' of predictor ' || p.name || ' is a ' || f.kind || ', the event sends ' || left(e.data ->> f.name, 40), 'send a ' || f.kind || ' (or null to withdraw the value)'
    from tandem.predictors p, jsonb_each_text(p.event_features) as f(name, kind)
    where jsonb_typeof(e.data) = 'object' and e.data ? f.name and jsonb_typeof(e.data -> f.name) <> 'null'
      and not case f.kind
        when 'integer' then jsonb_typeof(e.data -> f.name) = 'number' and (e.data ->> f.name)::numeric % 1 = 0
        else jsonb_typeof(e.data -> f.name) = f.kind end
  ) as problem(field, message, hint)
  where problem.message is not null
  order by e.position
  limit 1;
  if found then
    perform tandem.refuse_event('TD422', bad.source, bad.id, bad.field, bad.message, bad.hint);
  end if;
end $$;

-- The context's features after new events: per name the value of the latest event time, ties by source, then id.
-- A null withdraws the event value, so that the feature source's row counts again.
create function tandem.merge_features(before jsonb, new_events tandem.events[]) returns jsonb language sql stable as $$
  select coalesce(jsonb_object_agg(name, entry), '{}') from (
    select distinct on (name) name, entry from (
      select b.key as name, b.value as entry from jsonb_each(before) b
      union all
      select f.key, jsonb_build_object(
        'value', f.value,
        'accepted', floor(extract(epoch from e.accepted_at) * 1000),
        'time', floor(extract(epoch from coalesce(e.time, e.accepted_at)) * 1000),
        'source', e.source, 'id', e.id)
      from unnest(new_events) e, jsonb_each(case when jsonb_typeof(e.data) = 'object' then e.data else '{}' end) f
      where exists (select from tandem.predictors p where p.event_features ? f.key)
    ) as entries
    order by name, (entry ->> 'time')::numeric desc, entry ->> 'source' collate "C" desc, entry ->> 'id' collate "C" desc
  ) as latest
$$;

create function tandem.accept_events() returns trigger language plpgsql security definer
set search_path = pg_catalog, tandem as $$
declare
  conflict record;
begin
  perform tandem.check_events(array(
    select row(i.seq, i.source, i.id, i.type, i.user_id, i.time, i.data, i.accepted_at)::tandem.events from incoming i order by i.seq));

  -- Users first, in order: whoever changes several users locks them in the same order, and two transactions with the
  -- same event id meet at the user's row, where the second sees what the first recorded.
  insert into tandem.user_contexts (user_id)
    select distinct user_id collate "C" from incoming order by 1 on conflict do nothing;
  perform from tandem.user_contexts where user_id in (select user_id from incoming) order by user_id for update;

  select i.source, i.id into conflict from incoming i
  where exists (
    select from tandem.event_ids e where e.source = i.source and e.id = i.id
      and e.payload_hash <> tandem.event_payload_hash(i.type, i.user_id, i.time, i.data))
  or exists (
    select from incoming j where j.source = i.source and j.id = i.id and j.seq <> i.seq
      and tandem.event_payload_hash(j.type, j.user_id, j.time, j.data) <> tandem.event_payload_hash(i.type, i.user_id, i.time, i.data))
  order by i.seq limit 1;
  if found then
    perform tandem.refuse_event('TD409', conflict.source, conflict.id, 'id',
      'this event id was used before, for another event', 'give each event an id of its own; repeat an event unchanged');
  end if;

  -- Duplicates leave the log; what stays is new.
  delete from tandem.events where seq in (
    select i.seq from incoming i
    where exists (select from tandem.event_ids e where e.source = i.source and e.id = i.id)
       or exists (select from incoming j where j.source = i.source and j.id = i.id and j.seq < i.seq));

  with erased as (
    select user_id from tandem.user_contexts
    where user_id in (select user_id from incoming) and deleted_version > 0 and version = deleted_version
  ), dropped as (
    update tandem.events set data = null
    where seq in (select seq from incoming) and data is not null and user_id in (select user_id from erased)
  ), numbered as (
    select e.*, c.version + case when c.user_id in (select user_id from erased) then 0
      else row_number() over (partition by e.user_id order by e.seq) end as context_version
    from tandem.events e join tandem.user_contexts c on c.user_id = e.user_id
    where e.seq in (select seq from incoming)
  ), remembered as (
    insert into tandem.event_ids (source, id, payload_hash, user_id, context_version)
    select source, id, tandem.event_payload_hash(type, user_id, time, data), user_id, context_version
    from numbered order by source, id
  ), announced as (
    insert into tandem.outbox (user_id, context_version)
    select user_id, max(context_version) from numbered group by user_id order by user_id
  ), grouped as (
    select n.user_id, max(n.context_version) as version,
      array_agg(row(n.seq, n.source, n.id, n.type, n.user_id, n.time, n.data, n.accepted_at)::tandem.events order by n.seq) as events,
      (select coalesce(jsonb_object_agg(p.name, last.version), '{}') from tandem.predictors p, lateral (
        select max(m.context_version) as version from numbered m
        where m.user_id = n.user_id and m.type like any (p.event_patterns)) last
        where last.version is not null) as touched
    from numbered n where n.user_id not in (select user_id from erased)
    group by n.user_id
  )
  update tandem.user_contexts c set
    version = g.version,
    touched = c.touched || g.touched,
    features = tandem.merge_features(c.features, g.events),
    updated_at = clock_timestamp()
  from grouped g where c.user_id = g.user_id;

  insert into tandem.unused_event_names (name, events)
  select names.name, count(*) from incoming i,
    lateral jsonb_object_keys(case when jsonb_typeof(i.data) = 'object' then i.data else '{}' end) as names(name)
  where octet_length(names.name) <= 128
    and not exists (select from tandem.predictors p where p.event_features ? names.name)
    and (select count(*) from tandem.unused_event_names) < 1000
  group by 1 order by 1
  on conflict (name) do update set events = unused_event_names.events + excluded.events, last_seen = clock_timestamp();
  return null;
end $$;

create trigger accept_events after insert on tandem.events
  referencing new table as incoming for each statement execute function tandem.accept_events();
