-- The units of a batch run, what it predicted, and the overlay above a generation.

create table tandem.chunks (
  run_id uuid not null references tandem.runs on delete cascade,
  no int not null,
  -- Key range [from_key, to_key) as text of the key's type; null is unbounded. A 'users' run names its users instead.
  from_key text,
  to_key text,
  user_ids text[],
  state text not null default 'waiting' check (state in ('waiting', 'claimed', 'committed', 'failed', 'cancelled')),
  -- Raised by every claim: a worker that lost its lease writes nothing any more.
  fence int not null default 0,
  lease_until timestamptz,
  attempts int not null default 0,
  -- How often in a row a lease ran out without a word of its worker.
  lost_leases int not null default 0,
  error text,
  scored bigint not null default 0,
  failed bigint not null default 0,
  -- Whether Redis was told; publishing does not wait for it.
  loaded boolean not null default false,
  primary key (run_id, no)
);
create index chunks_open on tandem.chunks (run_id, no) where state in ('waiting', 'claimed');

-- The users that a run could not score, by name, the first 1,000 of a run.
create table tandem.run_failures (
  run_id uuid not null references tandem.runs on delete cascade,
  user_id text not null,
  reason text not null,
  primary key (run_id, user_id)
);

-- One partition a generation, attached at planning, detached and dropped at the end; never mass-deleted.
create table tandem.predictions (
  generation_id uuid not null,
  user_id text collate "C" not null,
  context_version bigint not null,
  computed_at timestamptz not null,
  -- The outputs in the model version's binary layout: libs/freshness/outputs.ts.
  outputs bytea not null
) partition by list (generation_id);

create table tandem.overlay (
  predictor text not null references tandem.predictors,
  user_id text collate "C" not null,
  model_version_id text not null references tandem.model_versions,
  overlay_floor bigint not null,
  history text not null,
  context_version bigint not null,
  source text not null check (source in ('batch', 'live')),
  computed_at timestamptz not null,
  outputs bytea not null,
  -- The version before the user: retention finds all entries of a version that is served no more.
  primary key (predictor, model_version_id, user_id)
) with (fillfactor = 80);
