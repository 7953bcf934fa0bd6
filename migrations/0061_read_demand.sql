-- How often users are read (libs/offline-store/reads/read-demand.ts), what a run may cost, and schedules of changed users.
-- Columns without a default, or with a constant one, rewrite no table; the lock is waited for briefly, and tried again.
set local lock_timeout = '100ms';

-- A row for each user that was read in the last weeks. An update changes no indexed column, so it stays on its page.
create table tandem.read_demand (
  user_id text collate "C" primary key,
  -- log2 of the decayed count of reads, plus the time since 1970 in half-lives of three days. The order of rows is the order
  -- of their counts at every moment, and no row has to be rewritten to decay.
  log_weight double precision not null,
  -- The least label of the answers counted here: an erasure goes by it.
  context_version bigint not null
) with (fillfactor = 70);

alter table tandem.runs
  -- {"share": 0.25} or {"cpuMinutes": 30}; null: no limit.
  add column if not exists budget jsonb,
  -- Made by the schedule of changed users.
  add column of_changed boolean not null default false;

-- CPU time of the worker and its inference for the chunk. Null until it is committed, and where a release before this one
-- committed it.
alter table tandem.chunks add column cpu_ms double precision;

-- As schedule_slots, for the schedule of changed users: a worker of a release before this one knows one schedule alone.
create table tandem.changed_slots (
  predictor text primary key references tandem.predictors,
  last_slot timestamptz not null
);
