-- Shadows: what a candidate model version would have answered beside what was served, as libs/prediction/shadow counts it.

-- Sums of each process for as long as the rollout lasts. Declared lossy: a process that dies loses its last seconds.
create table tandem.shadow_counts (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  -- Empty: everybody. `country=DE`: users with this value of a feature; `country`: with one that has no segment of its own.
  segment text not null,
  process_id uuid not null,
  -- libs/prediction/shadow/shadow-counts.ts.
  counts jsonb not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (rollout_id, segment, process_id)
);

-- The users whose two answers lie furthest apart, a bounded number of each rollout. Predictions of users: an erasure takes
-- them, and they go some time after the rollout is over.
create table tandem.shadow_movers (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  user_id text collate "C" not null,
  served double precision not null,
  candidate double precision not null,
  -- The label of the candidate's answer.
  context_version bigint not null,
  computed_at timestamptz not null,
  primary key (rollout_id, user_id)
);
create index shadow_movers_user on tandem.shadow_movers (user_id);
