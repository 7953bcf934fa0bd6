-- Planning and publishing of a run are claimed as chunks are: by compare-and-set, with a fence and a lease.

alter table tandem.runs
  -- The step that a worker has claimed; null: none. A worker that died leaves it here until its lease is over.
  add column step text check (step in ('plan', 'publish')),
  -- Raised by every claim: a worker that lost its lease writes nothing more.
  add column step_fence int not null default 0,
  -- Of a claimed step, the end of its lease; of a step that failed and is free again, the moment of its next attempt.
  add column step_lease_until timestamptz,
  -- Claims of the current step, which is the last one where the run has ended.
  add column step_attempts int not null default 0,
  -- Claims in a row whose lease ran out.
  add column step_lost_leases int not null default 0,
  -- Why the last attempt failed.
  add column step_error text;

-- One plan and one comparison at a time for each predictor. Steps that read no feature query and compare nothing are not
-- counted: they take milliseconds. Nor is a claim that a worker of an earlier release left behind on a run that it ended.
create unique index runs_one_step on tandem.runs (predictor, step)
  where state in ('planned', 'publishing') and (scope = 'all' and step is not null or scope = 'stale' and step = 'plan');
