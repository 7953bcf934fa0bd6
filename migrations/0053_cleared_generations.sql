-- What keeps the work of a publication under the assignments' lock small, and its coverage right. Columns with a constant
-- default rewrite no table, but wait for those who read it: for less time than reads do, and tried again.
set local lock_timeout = '100ms';

alter table tandem.generations
  -- The number of the last erasure whose user has no prediction here from before it. Chunks leave out users erased before their
  -- commit, so a generation begins with the count of erasures of that moment. 0 where a release before this one made it.
  add column cleared_erasures bigint not null default 0,
  -- Predictions deleted for erased users before the publication.
  add column erased_users bigint not null default 0;

-- Users whom the feature query listed for the chunk and who were left out as erased. Null until it is committed, and where
-- a release before this one committed it.
alter table tandem.chunks add column erased int;
