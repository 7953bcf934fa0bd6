-- What an event does to a context, in the transaction that inserts it.

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
  -- who send events, so that none of these commits by rules that no longer hold (libs/offline-store/events/event-rules.ts).
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
