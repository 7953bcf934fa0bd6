-- Refuses the user ids . and .. in events. HTTP clients and servers resolve such a path segment, also as %2e, so that no
-- request could read or erase such a user.

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
    when key_type = 'text' and user_id in ('.', '..') then 'a user id is not . or .., which no URL path can carry'
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
          when 'a user id is not . or .., which no URL path can carry' then 'give the user another id in its source'
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
      then array['time', 'the event''s time is more than 5 minutes ahead of the database''s clock', 'correct the sender''s clock, or send no time']
    when e.time < now - horizon
      then array['time', 'the event''s time is older than the event horizon (' || horizon || ')',
        'send it without a time, or not at all: a duplicate of so old an event could not be recognised']
    when jsonb_typeof(e.data) <> 'object'
      then array['data', 'an event''s data is an object of feature values', 'send an object, or no data']
  end
$$;

-- Erases what is stored of such users, with the same tombstone as DELETE /v1/users/{userId}: no request can ask for it any
-- more. The workers' sweeps delete the rows and the keys in Redis.
with named as (
  select id from unnest(array['.', '..']) id, tandem.settings s
  where s.key_type = 'text' and (exists (select from tandem.user_contexts where user_id = id)
    or exists (select from tandem.predictions where user_id = id) or exists (select from tandem.overlay where user_id = id))
)
insert into tandem.user_contexts (user_id) select id from named on conflict do nothing;

with erased as (
  update tandem.user_contexts set version = version + 1, deleted_version = version + 1, features = '{}', touched = '{}',
    updated_at = clock_timestamp()
  where user_id in ('.', '..') and not (deleted_version > 0 and version = deleted_version)
  returning user_id, version
), announced as (
  insert into tandem.outbox (user_id, context_version) select user_id, version from erased
), counted as (
  update tandem.settings set erasures = erasures + (select count(*) from erased)
  where exists (select from erased) returning erasures
)
insert into tandem.erasures (number, user_id, deleted_version, sweep_at)
select counted.erasures + 1 - row_number() over (order by erased.user_id desc), erased.user_id, erased.version, clock_timestamp()
from erased, counted
on conflict (user_id) do update set number = excluded.number, deleted_version = excluded.deleted_version,
  erased_at = excluded.erased_at, sweeps = 0, sweep_at = excluded.sweep_at;
