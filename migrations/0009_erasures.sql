-- Erasures, counted in the order of their commits: whoever knows all tombstones up to a number has only to look for those
-- above it. A user who is erased again moves to a new number; the old one is nobody's then.

-- The last erasure of each user who ever was erased; the tombstone itself is the context's deleted version.
create table tandem.erasures (
  number bigint primary key,
  user_id text collate "C" not null unique,
  deleted_version bigint not null,
  erased_at timestamptz not null default clock_timestamp(),
  -- How often the deletes were repeated, and when they are to be again: what was under way may arrive after the first.
  sweeps smallint not null default 0,
  sweep_at timestamptz
);
create index erasures_to_sweep on tandem.erasures (sweep_at) where sweep_at is not null;

insert into tandem.erasures (number, user_id, deleted_version, erased_at)
  select row_number() over (order by user_id), user_id, deleted_version, updated_at
  from tandem.user_contexts where deleted_version > 0;
