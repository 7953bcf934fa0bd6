-- What the service knows of itself: which past of the database this is, which predictors and model versions exist,
-- and who is served what. Everything that Redis or a process holds can be rebuilt from these tables.

create schema if not exists tandem;

-- One row, rotated by a restore: two databases restored from the same backup must not share a history.
create table tandem.history_rotation (
  one boolean primary key default true check (one),
  rotation uuid not null default gen_random_uuid(),
  rotated_at timestamptz not null default clock_timestamp()
);
insert into tandem.history_rotation default values;

-- The identity of this past: system identifier, timeline (a failover starts another), rotation; 16 hex digits.
-- pg_current_wal_insert_lsn refuses to run on a standby, so whoever learns a history has asked the primary.
create function tandem.current_history() returns text language sql stable parallel restricted as $$
  select substr(md5(
    (select system_identifier from pg_control_system())::text
    || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
    || '/' || (select rotation from tandem.history_rotation)::text), 1, 16)
$$;

create table tandem.settings (
  one boolean primary key default true check (one),
  -- The type of every predictor's key column: 'int8', 'uuid' or 'text'. Null until a first config is adopted.
  key_type text check (key_type in ('int8', 'uuid', 'text')),
  -- Event ids are remembered this long; an event that claims to be older is refused, since it could be a duplicate.
  event_horizon interval not null default interval '30 days',
  -- Raised by every change of predictors and arms, so that a process notices what it has not loaded yet.
  revision bigint not null default 0
);
insert into tandem.settings default values;

create table tandem.predictors (
  name text primary key check (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
  active boolean not null default true,
  -- LIKE patterns of the event types that concern this predictor.
  event_patterns text[] not null,
  -- Feature name -> 'number' | 'integer' | 'boolean' | 'string': what an event's data may carry for this predictor; of
  -- every model version that may be served without a new run. A value of one of these names concerns the predictor too.
  event_features jsonb not null default '{}',
  -- Freshness and batch policy, as libs/freshness/predictor.ts describes it.
  policy jsonb not null,
  -- The version that the config named when it was last adopted. Adopting the same config again moves nothing, so a
  -- restart does not undo a rollback.
  adopted_version_id text,
  updated_at timestamptz not null default clock_timestamp()
);

create table tandem.artifacts (
  hash text primary key check (hash ~ '^[0-9a-f]{64}$'),
  bytes bytea not null,
  created_at timestamptz not null default clock_timestamp()
);
-- ONNX files hardly compress; external storage spares the attempt and lets a prefix be read cheaply.
alter table tandem.artifacts alter column bytes set storage external;

-- Artifact + feature query + asOf + input and output mapping, immutable together.
create table tandem.model_versions (
  id text primary key check (id ~ '^[0-9a-f]{32}$'),
  predictor text not null references tandem.predictors,
  number int not null,
  artifact_hash text not null references tandem.artifacts,
  definition jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  unique (predictor, number)
);

alter table tandem.predictors add foreign key (adopted_version_id) references tandem.model_versions;

-- The last scheduled moment that a run was made of, which outlives the run.
create table tandem.schedule_slots (
  predictor text primary key references tandem.predictors,
  last_slot timestamptz not null
);

create table tandem.runs (
  id uuid primary key default gen_random_uuid(),
  predictor text not null references tandem.predictors,
  scope text not null check (scope in ('all', 'stale', 'users')),
  user_ids text[],
  model_version_id text not null references tandem.model_versions,
  -- The overlay floor at planning: entries of a partial run planned before a rollback no longer fit after it.
  overlay_floor bigint not null,
  -- The scheduled moment; unique, so that any number of schedulers makes one run of it.
  schedule_slot timestamptz,
  state text not null default 'planned'
    check (state in ('planned', 'running', 'publishing', 'done', 'done_with_errors', 'failed', 'cancelled')),
  reason text not null,
  error text,
  history text not null,
  users_expected bigint not null default 0,
  users_scored bigint not null default 0,
  users_failed bigint not null default 0,
  chunk_count int not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  finished_at timestamptz,
  unique (predictor, schedule_slot)
);
create index runs_newest on tandem.runs (created_at desc, id);
-- Two runs of everyone would score everybody twice; a stale run that grows into one meets the same rule.
create unique index runs_one_all on tandem.runs (predictor) where scope = 'all' and state in ('planned', 'running', 'publishing');
create index runs_unfinished on tandem.runs (state) where state in ('planned', 'running', 'publishing');

create table tandem.generations (
  id uuid primary key default gen_random_uuid(),
  predictor text not null references tandem.predictors,
  number int not null,
  model_version_id text not null references tandem.model_versions,
  run_id uuid not null references tandem.runs,
  state text not null default 'building' check (state in ('building', 'published', 'dropped')),
  history text not null,
  -- How many buckets its predictions are spread over in Redis.
  buckets int not null check (buckets > 0),
  -- Every computed_at of its predictions is this moment plus at most 49 days (an unsigned 32-bit count of milliseconds).
  started_at timestamptz not null default clock_timestamp(),
  published_at timestamptz,
  -- When an arm last pointed elsewhere.
  left_at timestamptz,
  users bigint not null default 0,
  unique (predictor, number)
);
create unique index generations_run on tandem.generations (run_id);

-- Who is served what: the stable arm of each predictor, and later those of its rollout.
create table tandem.arms (
  predictor text not null references tandem.predictors,
  name text not null default 'stable',
  model_version_id text not null references tandem.model_versions,
  generation_id uuid references tandem.generations,
  overlay_floor bigint not null default 0,
  revision bigint not null default 0,
  -- Set by a rollback: the moment from which the expiry of the generation it returned to is counted anew.
  expires_from timestamptz,
  primary key (predictor, name)
);

create function tandem.raise_revision() returns trigger language plpgsql as $$
begin
  update tandem.settings set revision = revision + 1;
  return null;
end $$;
create trigger predictors_revision after insert or update or delete on tandem.predictors
  for each statement execute function tandem.raise_revision();
create trigger arms_revision after insert or update or delete on tandem.arms
  for each statement execute function tandem.raise_revision();

-- Who moved a pointer, when and why.
create table tandem.audit (
  seq bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  predictor text,
  detail jsonb not null default '{}'
);
