-- Answers that were kept with what they were made of: all those of a share of the users, as predictors say. Declared lossy:
-- they are written after the reply, and what does not fit, or fails, is dropped and counted.

create table tandem.kept_explanations (
  -- For people and links; tells nothing of how many there are.
  id uuid primary key default gen_random_uuid(),
  -- In the order in which they were written: the place in a list.
  number bigint generated always as identity unique,
  predictor text not null references tandem.predictors on delete cascade,
  user_id text collate "C" not null,
  model_version_id text not null references tandem.model_versions,
  -- When it was answered, on this database's clock.
  at timestamptz not null,
  -- The promise under which it was kept; a predictor that says less by now is obeyed too.
  keep_until timestamptz not null,
  -- The label of the answer, or where nothing was computed the user's version: what an erasure goes by.
  context_version bigint not null,
  -- libs/prediction/explanations/kept-explanation.ts. As text, since a model may tell -0 from 0, and jsonb does not.
  answer json not null,
  inputs json not null
);
create index kept_explanations_user on tandem.kept_explanations (user_id, number);
create index kept_explanations_predictor on tandem.kept_explanations (predictor, number);
create index kept_explanations_end on tandem.kept_explanations (keep_until);
