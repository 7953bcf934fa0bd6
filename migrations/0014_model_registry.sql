-- What is known of a model version besides what it is: where it came from, what its trial showed, what its owner says of it.

alter table tandem.model_versions
  add column note text not null default '',
  -- Who brought it, and how: {"by": "key:ci", "how": "adopt" | "push"}. When, created_at says.
  add column origin jsonb not null default '{"by": "cli", "how": "adopt"}',
  -- What the file says of itself, and its size: libs/prediction/models/verification.ts.
  add column metadata jsonb,
  -- Name -> number, as its owner gave them.
  add column metrics jsonb not null default '{}',
  -- The certificate of its trial. Null: adopted before there were any; no label moves to it.
  add column parity jsonb,
  -- Of an optimised build: the version that it was made of, and how ('int8', 'pruned', 'distilled').
  add column parent_id text references tandem.model_versions,
  add column build text,
  add check ((build is null) = (parent_id is null));

-- Names that people give to versions, and move. `stable` and `candidate` are arms: rollouts move those.
create table tandem.version_labels (
  predictor text not null references tandem.predictors,
  label text not null check (label ~ '^[a-z][a-z0-9._-]{0,62}$' and label not in ('stable', 'candidate')),
  model_version_id text not null references tandem.model_versions,
  moved_at timestamptz not null default clock_timestamp(),
  actor text not null,
  primary key (predictor, label)
);
create index version_labels_version on tandem.version_labels (model_version_id);

-- An artifact's bytes are here, or at a location in a bucket. Either way they are checked against the hash when read.
alter table tandem.artifacts
  alter column bytes drop not null,
  add column location text,
  add column size bigint;
update tandem.artifacts set size = octet_length(bytes);
alter table tandem.artifacts
  alter column size set not null,
  add check ((bytes is null) <> (location is null));

-- Uploads that come in parts, until they are whole; those that are given up go after a day.
create table tandem.artifact_parts (
  hash text not null check (hash ~ '^[0-9a-f]{64}$'),
  first_byte bigint not null check (first_byte >= 0),
  total bigint not null,
  bytes bytea not null,
  uploaded_at timestamptz not null default clock_timestamp(),
  primary key (hash, first_byte)
);
alter table tandem.artifact_parts alter column bytes set storage external;
create index artifact_parts_oldest on tandem.artifact_parts (uploaded_at);
