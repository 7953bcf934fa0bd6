-- Which processes there are, and which model versions each of them has loaded: users are given to a version when every
-- process that may answer them has it ready.

create table tandem.processes (
  id uuid primary key,
  kind text not null check (kind in ('api', 'worker')),
  host text not null,
  pid int not null,
  release text not null,
  started_at timestamptz not null default clock_timestamp(),
  -- Raised every few seconds. A process that was not seen for a while is taken to be dead, and forgotten.
  seen_at timestamptz not null default clock_timestamp()
);

create table tandem.loaded_versions (
  process_id uuid not null references tandem.processes on delete cascade,
  model_version_id text not null references tandem.model_versions on delete cascade,
  state text not null check (state in ('loading', 'ready', 'failed')),
  -- Why it failed.
  error text,
  at timestamptz not null default clock_timestamp(),
  primary key (process_id, model_version_id),
  check ((state = 'failed') = (error is not null))
);

-- Versions that no arm names yet and that every process shall load all the same, until that moment: somebody waits for
-- them, to move a label.
create table tandem.awaited_versions (
  model_version_id text primary key references tandem.model_versions on delete cascade,
  until timestamptz not null
);
