-- The order of event values of one feature, which 0004 took from Postgres' clock where an event has no time: after a step
-- back, or a failover to a slower clock, an older value won under a newer context version.
--
-- Values of one user and feature arrive in acceptance order: the user's row is locked, as for context versions.
--   * An event without a time replaces the known value: acceptance order decides, and no clock. One exception: a known event
--     that claimed a time ahead of Postgres' clock (at most 5 minutes) stays until that clock has passed the time, unless the
--     clock was set back behind its acceptance.
--   * An event with a time replaces a known one with an earlier time; of equal times the greater source wins, then the
--     greater id. Among these the result does not depend on the order of arrival.
--   * Against an event without a time, an event with one has to be later than the acceptance. An event without a time never
--     counts as earlier than the time that it replaced, so that what was replaced before a step back stays replaced.
-- An acceptance never falls within a feature either: a source row between two values (asOf) does not bring its value back.

-- The entry of a feature after one more value. Times in ms since 1970; `timed` says that the event had a time. A null value
-- withdraws the event's value and keeps its place here.
-- @param latest what the values before it in the batch left; null before the first
-- @param known the entry in the user's context; null where there is none
-- @param fresh the entry of the value by itself
create function tandem.later_value(latest jsonb, known jsonb, fresh jsonb) returns jsonb language plpgsql immutable parallel safe as $$
declare
  last jsonb := coalesce(latest, known);
  last_time numeric := (last ->> 'time')::numeric;
  last_accepted numeric := (last ->> 'accepted')::numeric;
  -- Entries from before this migration do not say; an event without a time has its acceptance there.
  last_timed boolean := coalesce((last ->> 'timed')::boolean, last_time <> last_accepted);
  accepted numeric := (fresh ->> 'accepted')::numeric;
  fresh_time numeric := (fresh ->> 'time')::numeric;
begin
  if last is null then return fresh; end if;
  if (fresh ->> 'timed')::boolean then
    if last_time > fresh_time then return last; end if;
    if last_time = fresh_time and (not last_timed or (last ->> 'source' collate "C", last ->> 'id' collate "C")
      > (fresh ->> 'source' collate "C", fresh ->> 'id' collate "C")) then return last; end if;
  -- A clock behind the acceptance of a claim was set back, and cannot say whether the claimed time has come.
  elsif last_timed and last_accepted <= accepted and accepted < last_time then return last;
  end if;
  return fresh || jsonb_build_object('accepted', greatest(accepted, last_accepted), 'time', greatest(fresh_time, last_time));
end $$;

create aggregate tandem.latest_value(known jsonb, fresh jsonb) (sfunc = tandem.later_value, stype = jsonb);

-- As in 0004, but for the order of values.
create or replace function tandem.apply_events(batch tandem.events[]) returns void language plpgsql as $$
begin
  with rules as materialized (
    select name, event_patterns, array(select jsonb_object_keys(event_features)) as event_features from tandem.predictors
  ), known as materialized (
    select coalesce(jsonb_object_agg(f.name, true), '{}') as names from rules, unnest(event_features) as f(name)
  ), numbered as materialized (
    -- An erased user's version stays, and its events lose their data.
    select e.seq, e.source, e.id, e.type, e.user_id, e.time, e.accepted_at, c.erased,
      c.features as known, case when not c.erased then e.data end as data,
      tandem.event_payload_hash(e.type, e.user_id, e.time, e.data) as payload_hash,
      case when c.erased then c.version else c.version + row_number() over (partition by e.user_id order by e.seq) end as context_version
    from unnest(batch) e,
      lateral (select version, features, deleted_version > 0 and version = deleted_version as erased
        from tandem.user_contexts where user_id = e.user_id collate "C") c
  ), remembered as (
    insert into tandem.event_ids (source, id, payload_hash, user_id, context_version)
    select source, id, payload_hash, user_id, context_version from numbered order by source collate "C", id collate "C"
  ), dropped as (
    update tandem.events e set data = null from numbered n where e.seq = n.seq and n.erased and e.data is not null
  ), carried as (
    select n.user_id, n.seq, v.key as name, k.names ? v.key as used, n.known -> v.key as known,
      jsonb_build_object('value', v.value, 'accepted', extract(epoch from n.accepted_at) * 1000, 'timed', n.time is not null,
        'time', extract(epoch from coalesce(n.time, n.accepted_at)) * 1000, 'source', n.source, 'id', n.id) as fresh
    from numbered n, known k, jsonb_each(n.data) v
  ), latest as (
    select user_id, name, tandem.latest_value(known, fresh order by seq) as entry from carried where used group by user_id, name
  ), features as (
    select user_id, jsonb_object_agg(name, entry) as fresh from latest group by user_id
  ), unused as (
    select user_id, array_agg(name) as names from carried where not used and octet_length(name) <= 128 group by user_id
  ), touched as (
    select user_id, jsonb_object_agg(predictor, context_version) as touched from (
      select n.user_id, r.name as predictor, max(n.context_version) as context_version
      from numbered n, rules r
      -- A value changes the features of every predictor that uses its name, regardless of the event's type.
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
    features = case when g.fresh is null then c.features else c.features || g.fresh end,
    updated_at = clock_timestamp()
  from changed g where c.user_id = g.user_id collate "C" and not g.erased;
end $$;

drop function tandem.merge_features(jsonb, jsonb);
