-- How many users a rollout has exposed, and what came of it, without reading millions of rows at each look. In a file of its
-- own, since it keeps others from moving rollouts until it is committed.
set local lock_timeout = '1s';

-- What triggers on exposures count: 0054_count_exposures.sql.
create table tandem.exposure_counts (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  step int not null,
  arm text not null,
  source text not null,
  -- Of UTC, that of the exposures: days since 1970.
  day int not null,
  users bigint not null,
  primary key (rollout_id, step, arm, source, day)
);

-- Users whom one step has exposed to several arms.
create table tandem.multiple_exposures (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  step int not null,
  users bigint not null,
  primary key (rollout_id, step)
);

-- Outcomes of a step are counted in slices of its users, a few at each look.
create table tandem.outcome_passes (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  step int not null,
  -- The moment that the pass under way began; null: the next look begins one.
  as_of timestamptz,
  -- The last user that it has counted, whom an erasure takes out.
  after_user text collate "C" not null default '',
  -- Its sums: libs/prediction/rollouts/outcomes.ts.
  sums jsonb not null default '[]',
  -- The moment and the sums of the last pass that has ended.
  counted_as_of timestamptz,
  counted jsonb not null default '[]',
  primary key (rollout_id, step)
);
