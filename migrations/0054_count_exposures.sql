-- How many users a rollout has exposed, counted where exposures are written: a look at a rollout must not count millions of
-- rows again. What a process of an earlier release writes is counted too, and so is what an erasure deletes.
--
-- Whoever writes exposures waits behind the triggers' lock, and is let by where it is not to be had at once.
set local lock_timeout = '1s';

-- Counts of a rollout are written by one transaction after the other. So of two that expose one user to two arms, the later
-- one sees the row of the earlier. The rows themselves were written before, side by side; 5,000 of them are counted in some
-- 15 ms. Rollouts are locked in order, and who has a lock waits for no row.
create function tandem.count_exposures() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_indexscan = on set enable_nestloop = on set jit = off as $$
declare
  sign int := case tg_op when 'INSERT' then 1 else -1 end;
begin
  perform pg_advisory_xact_lock(key) from (
    select distinct hashtextextended('tandem.exposures ' || rollout_id, 0) as key from changed order by key) k;

  insert into tandem.exposure_counts as e
  select rollout_id, step, arm, source, floor(extract(epoch from at) / 86400)::int, sign * count(*) from changed group by 1, 2, 3, 4, 5
  on conflict (rollout_id, step, arm, source, day) do update set users = e.users + excluded.users;

  insert into tandem.multiple_exposures as m
  select rollout_id, step, sum(sign * ((others + mine > 1)::int - (others > 1)::int)) as users
  from (
    select rollout_id, step, mine, (
      select count(*) from tandem.exposures e
      where e.rollout_id = c.rollout_id and e.step = c.step and e.user_id = c.user_id) - greatest(sign, 0) * mine as others
    from (select rollout_id, step, user_id, count(*) as mine from changed group by 1, 2, 3) c) u
  where others + mine > 1
  group by 1, 2
  on conflict (rollout_id, step) do update set users = m.users + excluded.users;
  return null;
end $$;

create trigger exposures_inserted after insert on tandem.exposures
  referencing new table as changed for each statement execute function tandem.count_exposures();
create trigger exposures_deleted after delete on tandem.exposures
  referencing old table as changed for each statement execute function tandem.count_exposures();

-- What is there already: a second for each million, while processes keep what they would write.
insert into tandem.exposure_counts
select rollout_id, step, arm, source, floor(extract(epoch from at) / 86400)::int, count(*) from tandem.exposures group by 1, 2, 3, 4, 5;
insert into tandem.multiple_exposures
select rollout_id, step, count(*) from (
  select rollout_id, step from tandem.exposures group by rollout_id, step, user_id having count(*) > 1) moved
group by 1, 2;
