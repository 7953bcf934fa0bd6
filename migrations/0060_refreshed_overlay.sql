-- Whether a live prediction was made by a re-scoring, before any read asked for it: told by explanations and counted. No
-- read decides by it. A release before this one writes live answers over it and leaves it as it is.
-- A column with a constant default rewrites no table, but waits for those who read it: for less time than reads do.
set local lock_timeout = '100ms';

alter table tandem.overlay add column refreshed boolean not null default false;
