-- The errors of events written in SQL say which fault an event has, in the words of the API (libs/freshness/user-id.ts).

create or replace function tandem.user_id_problem(user_id text, key_type text) returns text language sql immutable as $$
  select case
    when user_id is null or user_id = '' then 'the user id is empty'
    when octet_length(user_id) > 128 then 'the user id is longer than 128 bytes'
    when user_id ~ '[[:cntrl:]]' then 'the user id has a control character'
    when key_type = 'int8' then case
      -- Null if the text is not a number. The next check rejects such a text.
      when substring(user_id from '^\s*([+-]?[0-9]+)\s*$')::numeric not between -9223372036854775808 and 9223372036854775807
        then 'the user id does not fit 64 bits'
      when user_id !~ '^(0|-?[1-9][0-9]{0,18})$'
        then 'the user id is not a whole number, or has leading zeros or a sign +' end
    when key_type = 'uuid' and user_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      then 'the user id is not a lower-case uuid'
    when key_type = 'text' and user_id in ('.', '..') then 'the user id is . or .., which no URL path can carry'
    when key_type = 'text' and user_id is not nfc normalized then 'the user id is not in Unicode normalization form C'
  end
$$;

create or replace function tandem.event_problem(e tandem.event, key_type text, horizon interval, now timestamptz)
returns text[] language sql stable as $$
  select case
    when tandem.user_id_problem(e.user_id, key_type) is not null
      then array['subject', tandem.user_id_problem(e.user_id, key_type),
        case tandem.user_id_problem(e.user_id, key_type) when 'the user id does not fit 64 bits'
          then 'send the id of a user that the key column can hold, at most 9223372036854775807'
          when 'the user id is . or .., which no URL path can carry' then 'give the user another id in its source'
          else 'send the user id in its canonical spelling' end]
    when octet_length(e.id) not between 1 and 256
      then array['id', 'the event id is empty or longer than 256 bytes', 'send an id of 1 to 256 bytes']
    when octet_length(e.source) not between 1 and 256
      then array['source', 'the event source is empty or longer than 256 bytes', 'send a source of 1 to 256 bytes']
    when e.source ~ '^[\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*$'
      then array['source', 'the event source is only white space', 'name what sends the event, such as /shop/orders']
    when octet_length(e.type) not between 1 and 256
      then array['type', 'the event type is empty or longer than 256 bytes', 'send a type of 1 to 256 bytes']
    when e.time > now + interval '5 minutes'
      then array['time', 'the event''s time is more than 5 minutes ahead of the database''s clock', 'correct the sender''s clock, or send no time']
    when e.time < now - horizon
      then array['time', 'the event''s time is older than the event horizon (' || horizon || ')',
        'send it without a time if it is new; a duplicate of such an old event would not be detected']
    when jsonb_typeof(e.data) <> 'object'
      then array['data', 'the event''s data is not an object', 'send an object of feature values, or no data']
  end
$$;

-- With the search path of 0025.
create or replace function tandem.check_events(batch tandem.event[], kinds jsonb) returns void language plpgsql stable
set search_path = pg_catalog, pg_temp as $$
declare
  found_key_type text;
  horizon interval;
  now timestamptz := clock_timestamp();
  bad record;
begin
  select key_type, event_horizon into found_key_type, horizon from tandem.settings;
  select b.position, b.source, b.id, b.problem into bad from (
    select e.position, e.source, e.id,
      tandem.event_problem(row(e.seq, e.source, e.id, e.type, e.user_id, e.time, e.data, e.accepted_at)::tandem.event,
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
      'feature ' || bad.name || ' of predictor ' || bad.predictor || ' is of kind ' || bad.kind || ', but the event has '
        || left(bad.value::text, 40),
      case bad.kind when 'integer' then 'send a whole number of at most 15 digits' else 'send a ' || bad.kind end
        || ', or null to withdraw the value');
  end if;
end $$;
