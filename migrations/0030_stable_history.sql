-- What the stable arm of each predictor has served, in order: its model version, and the generation that answered for it.
-- "The version before" is read from here. The time of a version's last run, or its number, does not tell it.
create table tandem.stable_history (
  seq bigint generated always as identity primary key,
  predictor text not null references tandem.predictors,
  model_version_id text not null references tandem.model_versions,
  -- Null: no generation was served then, or it has been deleted since.
  generation_id uuid references tandem.generations on delete set null,
  at timestamptz not null default clock_timestamp()
);
create index stable_history_of_predictor on tandem.stable_history (predictor, seq);
create index stable_history_of_version on tandem.stable_history (model_version_id, seq);
create index stable_history_of_generation on tandem.stable_history (generation_id);

-- A predictor that is older than this table: what its audit, its rollouts and its model versions tell.
with known_versions as (
  select predictor, id as model_version_id, stable_at as at from tandem.model_versions where stable_at is not null
  union all
  select a.predictor, v.id, a.at from tandem.audit a join tandem.model_versions v on v.id = a.detail ->> 'modelVersionId'
  where a.action = 'rollback'
  union all
  select r.predictor, v.id, r.ended_at from tandem.rollouts r
  cross join lateral jsonb_array_elements(r.last_arms) as arm
  join tandem.model_versions v on v.id = arm ->> 'modelVersionId'
  where r.kind = 'canary' and r.state = 'promoted'
)
insert into tandem.stable_history (predictor, model_version_id, generation_id, at)
select predictor, model_version_id, generation_id, at from (
  select predictor, model_version_id, null::uuid as generation_id, at from known_versions
  union all
  -- A generation was the stable arm's where its version was the stable one when it was published.
  select g.predictor, g.model_version_id, g.id, g.published_at from tandem.generations g
  where g.model_version_id = (select k.model_version_id from known_versions k
    where k.predictor = g.predictor and k.at <= g.published_at order by k.at desc limit 1)) known
order by at, generation_id nulls first;

insert into tandem.stable_history (predictor, model_version_id, generation_id)
select a.predictor, a.model_version_id, a.generation_id from tandem.arms a
left join lateral (
  select h.model_version_id, h.generation_id from tandem.stable_history h
  where h.predictor = a.predictor order by h.seq desc limit 1) last on true
where a.name = 'stable'
  and (a.model_version_id, a.generation_id) is distinct from (last.model_version_id, last.generation_id);

-- A trigger, so that the history is whole whatever moves the arm: adoption, promotion, rollback, publication.
create function tandem.note_stable() returns trigger language plpgsql as $$
begin
  insert into tandem.stable_history (predictor, model_version_id, generation_id)
  values (new.predictor, new.model_version_id, new.generation_id);
  -- Only releases before this migration read the column.
  update tandem.model_versions set stable_at = clock_timestamp() where id = new.model_version_id and stable_at is null;
  return null;
end $$;
create trigger arms_stable_inserted after insert on tandem.arms
  for each row when (new.name = 'stable') execute function tandem.note_stable();
create trigger arms_stable_moved after update of model_version_id, generation_id on tandem.arms
  for each row when (new.name = 'stable'
    and (new.model_version_id, new.generation_id) is distinct from (old.model_version_id, old.generation_id))
  execute function tandem.note_stable();
