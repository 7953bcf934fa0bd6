-- A quota of new users for each API key. An event of an unknown user inserts a row into tandem.user_contexts, and these rows
-- are never deleted: a version that started again would make old labels fresh. So a key must not insert them without limit.
set local lock_timeout = '100ms';

-- Null: no limit. Keys that exist get the default, too.
alter table tandem.api_keys add column new_users_per_day double precision default 1000000 check (new_users_per_day > 0);

-- The users that count against a key's quota at a moment. The count falls by the quota in a day. The row of a deleted key
-- stays: no foreign key, so that keys can be truncated as before.
create table tandem.new_users_of_keys (
  key_id text primary key,
  users double precision not null,
  at timestamptz not null
) with (fillfactor = 10);

-- The trigger tells send_events how many users the statement has inserted. A statement without new users costs no more.
do $$
declare
  known text;
  definition text;
  piece text[];
begin
  perform set_config('search_path', 'pg_catalog', true);
  select pg_get_functiondef('tandem.accept_events()'::regprocedure) into definition;
  foreach piece slice 1 in array array[
    ['  has_erased boolean;', '  has_erased boolean;
  inserted int;'],
    ['unnest(batch) e order by 1 on conflict do nothing;', 'unnest(batch) e order by 1 on conflict do nothing;
  get diagnostics inserted = row_count;
  if inserted > 0 then perform set_config(''tandem.new_users'', inserted::text, true); end if;']]
  loop
    known := definition;
    definition := replace(known, piece[1], piece[2]);
    if definition = known then raise exception 'tandem.accept_events lacks %', piece[1]; end if;
  end loop;
  execute definition;
end $$;

-- Counts new users of a key, and rejects them above its quota. Senders of new users with one key wait for each other here, from
-- this last lock of their transactions to the commit.
create function tandem.count_new_users(key text, inserted int) returns void language plpgsql as $$
declare
  quota float8;
  counted float8;
begin
  select k.new_users_per_day into quota from tandem.api_keys k where k.id = key;
  if quota is null then return; end if;
  insert into tandem.new_users_of_keys as c (key_id, users, at) values (key, inserted, clock_timestamp())
    on conflict (key_id) do update set
      users = excluded.users + greatest(0, c.users - quota * greatest(0, extract(epoch from excluded.at - c.at)::float8) / 86400),
      -- A sender that waited for the lock has an earlier time. After a clock was set back, its new time counts.
      at = case when excluded.at < c.at - interval '1 minute' then excluded.at else greatest(c.at, excluded.at) end
    returning c.users into counted;
  if counted > quota then
    raise exception using errcode = 'TD429', detail = ceil((counted - quota) / quota * 86400)::text,
      message = format('The API key would exceed its quota of %s new users a day.', quota),
      hint = 'retry after the time in Retry-After; or send events of fewer new users in a request; or raise the quota: '
        || 'update tandem.api_keys set new_users_per_day = …';
  end if;
end $$;

-- As with two arguments, for the holder of an API key.
create function tandem.send_events(sent jsonb, lock_ms int, key text)
returns table (user_id text, context_version bigint, status text, history text) language plpgsql as $$
begin
  perform set_config('tandem.new_users', '', true);
  return query select * from tandem.send_events(sent, lock_ms);
  if current_setting('tandem.new_users') <> '' then
    perform tandem.count_new_users(key, current_setting('tandem.new_users')::int);
  end if;
end $$;
