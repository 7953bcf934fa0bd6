-- Rollouts: who of a predictor's users is served by another model version than the stable one, and how far that has gone.
-- What is served now are the arms; a rollout is what moves them, and what is remembered of it afterwards.

create table tandem.rollouts (
  id uuid primary key default gen_random_uuid(),
  predictor text not null references tandem.predictors,
  -- For people: 1, 2, 3, … of its predictor.
  number int not null,
  kind text not null check (kind in ('canary', 'shadow', 'ab')),
  state text not null default 'preparing'
    check (state in ('preparing', 'running', 'held', 'promoted', 'aborted', 'ended')),
  -- Assignment hashes it with the user: another rollout puts other users into its arms.
  salt text not null,
  -- Steps, weights, guardrails: libs/freshness/rollout.ts.
  plan jsonb not null,
  -- The step of a canary, from 0; of the other kinds always 0.
  step int not null default 0,
  step_started_at timestamptz,
  -- That of its arms: above any that the predictor had before, so that no entry of an earlier rollout fits.
  overlay_floor bigint not null,
  -- Why it is in its state.
  reason text not null default '',
  -- When it was last judged: of all workers one judges at a time.
  checked_at timestamptz,
  -- The arms as they were when it ended, in the form that rollout-rows.ts gives them.
  last_arms jsonb,
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  unique (predictor, number)
);
create unique index rollouts_one_active on tandem.rollouts (predictor) where state in ('preparing', 'running', 'held');

alter table tandem.arms
  -- Null: the stable arm, which belongs to none.
  add column rollout_id uuid references tandem.rollouts on delete cascade,
  -- The users whose bucket (of 10,000, libs/experiment/assignment.ts) is in [first_bucket, end_bucket). The stable arm has
  -- everybody whom no other arm has.
  add column first_bucket int not null default 0,
  add column end_bucket int not null default 0,
  add check (0 <= first_bucket and first_bucket <= end_bucket and end_bucket <= 10000);

-- A generation is put in force in the one arm that serves its model version.
create unique index arms_one_version on tandem.arms (predictor, model_version_id);

-- When a version became the stable one first: rolling forward to it again needs no steps.
alter table tandem.model_versions add column stable_at timestamptz;
update tandem.model_versions v set stable_at = clock_timestamp()
  where exists (select from tandem.arms a where a.model_version_id = v.id);

-- Users who are in an arm whatever their bucket, for tests by hand.
create table tandem.arm_overrides (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  user_id text collate "C" not null,
  arm text not null,
  primary key (rollout_id, user_id)
);

-- Not for what it says of itself: that changes while it is preparing, and nobody is served by it.
create trigger rollouts_revision after insert or delete or update of state, step, plan on tandem.rollouts
  for each statement execute function tandem.raise_revision();
create trigger arm_overrides_revision after insert or update or delete on tandem.arm_overrides
  for each row execute function tandem.raise_revision();

-- What an analysis of a rollout found, and what was done about it.
create table tandem.rollout_checks (
  seq bigint generated always as identity primary key,
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  at timestamptz not null default clock_timestamp(),
  step int not null,
  verdict text not null check (verdict in ('promote', 'hold', 'roll_back')),
  -- Whether it moved anything: not in a dry run, nor where it holds.
  applied boolean not null,
  -- Every test with its figures: libs/experiment/verdict/judge-rollout.ts.
  figures jsonb not null
);
create index rollout_checks_newest on tandem.rollout_checks (rollout_id, seq desc);

-- What was served in each arm, counted by each process for itself: `counts` are its sums since the step began, as
-- libs/prediction/rollouts/arm-counts.ts lays them out. Declared lossy: a process that dies loses its last seconds.
create table tandem.arm_counts (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  step int not null,
  arm text not null,
  source text not null,
  process_id uuid not null,
  counts jsonb not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (rollout_id, step, arm, source, process_id)
);

-- One run of everybody for each model version at a time, and one a slot for each: the versions of a rollout are computed
-- side by side.
drop index tandem.runs_one_all;
create unique index runs_one_all on tandem.runs (predictor, model_version_id)
  where scope = 'all' and state in ('planned', 'running', 'publishing');
alter table tandem.runs drop constraint runs_predictor_schedule_slot_key;
alter table tandem.runs add unique (predictor, model_version_id, schedule_slot);
