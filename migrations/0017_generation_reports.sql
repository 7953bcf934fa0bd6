-- What comparing a new generation with the one that is served found, before it was put in force.

create table tandem.generation_reports (
  generation_id uuid primary key references tandem.generations on delete cascade,
  -- Null: there was none to compare with, or it is forgotten by now.
  against_generation_id uuid references tandem.generations on delete set null,
  verdict text not null check (verdict in ('passed', 'blocked', 'not_compared')),
  -- Figures, thresholds that were crossed, notes: libs/prediction/reports/generation-report.ts. No user is in it.
  report jsonb not null,
  made_at timestamptz not null default clock_timestamp()
);
create index generation_reports_against on tandem.generation_reports (against_generation_id);

-- The users whose output moved furthest. Rows of their own, since an erasure takes them away.
create table tandem.generation_movers (
  generation_id uuid not null references tandem.generation_reports on delete cascade,
  user_id text collate "C" not null,
  before float8 not null,
  now float8 not null,
  delta float8 not null,
  primary key (generation_id, user_id)
);
create index generation_movers_user on tandem.generation_movers (user_id);
