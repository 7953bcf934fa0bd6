-- Two refusals of 0003. An id beyond 64 bits is said to be that, however many digits it has; and a source of white space
-- alone names nobody (CloudEvents: a non-empty URI-reference). Only what is inserted from now on is asked: events that are
-- here stay as they are.

create or replace function tandem.user_id_problem(user_id text, key_type text) returns text language sql immutable as $$
  select case
    when user_id is null or user_id = '' then 'a user id is not empty'
    when octet_length(user_id) > 128 then 'a user id has at most 128 bytes'
    when user_id ~ '[[:cntrl:]]' then 'a user id has no control characters'
    when key_type = 'int8' then case
      -- Null, and no problem of this kind, where no number stands there.
      when substring(user_id from '^\s*([+-]?[0-9]+)\s*$')::numeric not between -9223372036854775808 and 9223372036854775807
        then 'a user id fits 64 bits'
      when user_id !~ '^(0|-?[1-9][0-9]{0,18})$' then 'a user id is a whole number without leading zeros or sign +' end
    when key_type = 'uuid' and user_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then 'a user id is a lower-case uuid'
    when key_type = 'text' and user_id is not nfc normalized then 'a user id is in Unicode normalization form C'
  end
$$;

create or replace function tandem.event_problem(e tandem.events, key_type text, horizon interval, now timestamptz)
returns text[] language sql stable as $$
  select case
    when tandem.user_id_problem(e.user_id, key_type) is not null
      then array['subject', tandem.user_id_problem(e.user_id, key_type),
        case tandem.user_id_problem(e.user_id, key_type) when 'a user id fits 64 bits'
          then 'send the id of a user that the key column can hold, at most 9223372036854775807'
          else 'send the user id in its canonical spelling' end]
    when octet_length(e.id) not between 1 and 256
      then array['id', 'an event id has 1 to 256 bytes', 'give the event a shorter id, or one at all']
    when octet_length(e.source) not between 1 and 256
      then array['source', 'an event source has 1 to 256 bytes', 'give the event a shorter source, or one at all']
    when e.source ~ '^[\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*$'
      then array['source', 'an event source is more than white space', 'name what sends the event, such as /shop/orders']
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
