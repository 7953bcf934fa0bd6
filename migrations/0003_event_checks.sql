-- What an event must be like to be applied: the same rules for those that an application inserts and for those over HTTP.

create function tandem.event_payload_hash(type text, user_id text, "time" timestamptz, data jsonb) returns bytea
language sql immutable as $$
  select sha256(convert_to(jsonb_build_array(type, user_id, extract(epoch from "time"), data)::text, 'UTF8'))
$$;

-- Why a user id is refused, or null. The rule stands once more in libs/freshness/user-id.ts, whose test compares them.
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
