-- Rejects at once a request that makes more users known than the key's quota of a day, and names `tandem key limit`.

-- Counts new users of a key, and rejects them above its quota. This takes the last lock of the transaction, and holds it until
-- the commit: a slot. A small quota has one slot and is exact. A large quota has eight, because with one slot eight senders of
-- new users got a third fewer through. It may be exceeded by the seven requests that wait for their commits.
create or replace function tandem.count_new_users(key text, inserted int) returns void language plpgsql as $$
declare
  quota float8;
  slots int;
  counted float8;
begin
  select k.new_users_per_day, case when k.new_users_per_day < 100000 then 1 else 8 end into quota, slots
    from tandem.api_keys k where k.id = key;
  if quota is null then return; end if;
  if inserted > quota then
    -- Without detail: the request would fail at any time.
    raise exception using errcode = 'TD429',
      message = format('The events make %s users known, but the API key may make %s known a day.', inserted, quota),
      hint = 'send events of fewer new users in a request; or raise the quota: tandem key limit ' || key || ' --new-users …';
  end if;
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
        || 'tandem key limit ' || key || ' --new-users …';
  end if;
end $$;
