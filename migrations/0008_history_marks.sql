-- What tells of a restore that nobody told of. Marks are left here every few seconds while the service runs; whoever
-- remembers one that is not here any more has seen a past that was lost, though system identifier, timeline and rotation
-- are what they were.
create table tandem.history_marks (
  seq bigint generated always as identity primary key,
  -- Random: of two pasts with the same numbers, each has its own.
  mark uuid not null default gen_random_uuid(),
  left_at timestamptz not null default clock_timestamp()
);
