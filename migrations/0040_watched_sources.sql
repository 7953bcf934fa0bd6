-- Watched sources: tables of feature queries whose changes raise context versions by trigger, in the application's own
-- transaction. `tandem watch` makes the triggers of a table (libs/offline-store/sources/watch-source.ts); this is what they call.

-- One row a watched table. Its trigger function is tandem.watch_<id>, and pg_trigger says which table that is on.
create table tandem.watched_sources (
  id bigint generated always as identity primary key,
  -- The table when it was watched, for people.
  name text not null,
  -- SQL over a row of the table (alias `changed`) that gives the user id. Null: a row belongs to every user.
  key text,
  -- The columns whose changes count. Null: all of them.
  columns text[],
  -- The predictors that a change concerns.
  predictors text[] not null,
  -- A statement that changes more users than this raises source versions instead of their context versions.
  max_users int not null check (max_users > 0),
  created_at timestamptz not null default clock_timestamp()
);

-- How often a watched source of a predictor was changed in bulk. A run notes the version before it reads features; a
-- generation whose run noted a lower one is stale as a whole. The overlay floor that certificates tell is the arm's own
-- plus this version, so that entries from before the change do not fit. An application's transaction holds this row until
-- it ends: only other bulk changes of the same predictor wait for it.
create table tandem.source_versions (
  predictor text primary key references tandem.predictors on delete cascade,
  version bigint not null default 0
);

alter table tandem.runs add column source_version bigint not null default 0;

-- Raises what a change of a watched source concerns: the context versions of these users (distinct, sorted by their
-- bytes), or of everyone by the source versions, where `users` is null.
--
-- As the events' trigger does, it inserts the users who are missing first, in order, and then locks the others in order:
-- nested loops alone keep that order. An erased user stays erased, at the version of the erasure. A statement of more than
-- 1,000 users leaves no rows in the outbox: what these tell Redis only spares work, and they cost as much as the rest.
create function tandem.source_changed(watch bigint, users text[]) returns void language plpgsql
set search_path = pg_catalog, tandem
set enable_indexscan = on
set enable_nestloop = on
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
set jit = off as $$
declare
  concerned text[];
begin
  if cardinality(users) = 0 then return; end if;
  -- The watch must not change before this transaction ends (libs/offline-store/events/event-rules.ts).
  perform pg_advisory_xact_lock_shared(1413567556, 1163284052);
  if current_setting('transaction_isolation') <> 'read committed' then
    perform from tandem.event_rules for share;
  end if;
  select w.predictors into concerned from tandem.watched_sources w where w.id = watch;
  if concerned is null then return; end if;
  if users is null then
    perform from tandem.source_versions where predictor = any (concerned) order by predictor for update;
    update tandem.source_versions set version = version + 1 where predictor = any (concerned);
    return;
  end if;
  insert into tandem.user_contexts (user_id)
    select u.user_id from unnest(users) with ordinality as u(user_id, position)
    where not exists (select from tandem.user_contexts c where c.user_id = u.user_id collate "C")
    order by u.position on conflict do nothing;
  with raised as (
    update tandem.user_contexts c set
      version = c.version + 1,
      -- Mostly there is one predictor: a sub-select for each user would take as long as the update.
      touched = c.touched || case cardinality(concerned) when 1 then jsonb_build_object(concerned[1], c.version + 1)
        else (select jsonb_object_agg(p.name, c.version + 1) from unnest(concerned) as p(name)) end,
      updated_at = clock_timestamp()
    from unnest(users) as u(user_id)
    where c.user_id = u.user_id collate "C" and not (c.deleted_version > 0 and c.version = c.deleted_version)
    returning c.user_id, c.version
  )
  insert into tandem.outbox (user_id, context_version)
    select user_id, version from raised where cardinality(users) <= 1000;
end $$;
