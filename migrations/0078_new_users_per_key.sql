-- A quota of new users for each API key. An event of an unknown user inserts a row into tandem.user_contexts, and these rows
-- are never deleted: a version that started again would make old labels fresh. So a key must not insert them without limit.
set local lock_timeout = '100ms';

-- Null: no limit. Keys that exist get the default, too.
alter table tandem.api_keys add column new_users_per_day double precision default 1000000 check (new_users_per_day > 0);

-- The users that count against a key's quota at a moment, in slots. The count falls by the quota in a day. Rows of a deleted
-- key stay: there is no foreign key, so that keys can be truncated as before.
create table tandem.new_users_of_keys (
  key_id text,
  slot int,
  users double precision not null,
  at timestamptz not null,
  primary key (key_id, slot)
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

-- The users of a slot that still count at a moment.
create function tandem.users_left(slot tandem.new_users_of_keys, now timestamptz, per_day float8) returns float8 language sql as $$
  select greatest(0, slot.users - per_day * greatest(0, extract(epoch from now - slot.at)::float8) / 86400)
$$;

-- Counts new users of a key, and rejects them above its quota. This takes the last lock of the transaction, and holds it until
-- the commit: a slot. A small quota has one slot and is exact. A large quota has eight, because with one slot eight senders of
-- new users got a third fewer through. It may be exceeded by the seven requests that wait for their commits.
create function tandem.count_new_users(key text, inserted int) returns void language plpgsql as $$
declare
  quota float8;
  slots int;
  counted float8;
begin
  select k.new_users_per_day, case when k.new_users_per_day < 100000 then 1 else 8 end into quota, slots
    from tandem.api_keys k where k.id = key;
  if quota is null then return; end if;
  insert into tandem.new_users_of_keys as c (key_id, slot, users, at)
    values (key, floor(random() * slots), inserted, clock_timestamp())
    on conflict (key_id, slot) do update set
      users = excluded.users + tandem.users_left(c, excluded.at, quota / slots),
      -- A sender that waited for the lock has an earlier time. After a clock was set back, its new time counts.
      at = case when excluded.at < c.at - interval '1 minute' then excluded.at else greatest(c.at, excluded.at) end;
  select sum(tandem.users_left(c, clock_timestamp(), quota / slots)) into counted
    from tandem.new_users_of_keys c where c.key_id = key;
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
