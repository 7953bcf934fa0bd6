-- How well the counts of earlier days predict the reads of later days (libs/prediction/demand/estimate-budget.ts). Columns
-- have constant defaults, so no table is rewritten. A release before this one leaves them as they are.
set local lock_timeout = '100ms';

-- Logarithms as in log_weight: log2 of a decayed count, plus the time since 1970 in half-lives.
alter table tandem.read_demand
  -- As log_weight, with half the half-life.
  add column log_recent double precision not null default '-infinity',
  -- The day of the newest read, since 1970 in UTC, and log_weight at its start.
  add column day int,
  add column log_before double precision not null default '-infinity',
  -- The day of one read, drawn at random by the weights in log_recent, and log_weight at its start.
  add column sampled_day int,
  add column log_sampled double precision not null default '-infinity';
