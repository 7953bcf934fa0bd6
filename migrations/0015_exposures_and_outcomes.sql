-- Who was served from which arm of a rollout, and what came of it.

-- The first time in a step of a rollout that a user was served from an arm. A canary's step is an experiment of its own:
-- whoever comes into its arm with a later step was in the stable one before. Declared lossy: a process that dies loses its
-- last seconds.
create table tandem.exposures (
  rollout_id uuid not null references tandem.rollouts on delete cascade,
  step int not null,
  user_id text collate "C" not null,
  arm text not null,
  -- Of the answer: batch, live, stale, default; `error` where there was none.
  source text not null,
  at timestamptz not null,
  -- The user's as the answer told it, or 0: an erasure takes what is labelled up to it.
  context_version bigint not null,
  -- All that reports ask of a step's users is in the index, in their order.
  primary key (rollout_id, step, user_id, arm) include (source, at)
);

-- Their ids are remembered for as long as all are kept; an erasure takes everything else.
create table tandem.outcomes (
  source text collate "C" not null,
  id text collate "C" not null,
  payload_hash bytea not null,
  -- Null, with all that follows: of an erased user.
  user_id text collate "C",
  name text collate "C",
  value double precision,
  -- When it happened by its sender; who says nothing means: when it was accepted.
  time timestamptz,
  -- The user's, read in the statement that wrote the row.
  context_version bigint not null,
  accepted_at timestamptz not null default clock_timestamp(),
  primary key (source, id)
);
create index outcomes_in_time on tandem.outcomes (name, time) include (user_id, value) where user_id is not null;
create index outcomes_of_user on tandem.outcomes (user_id) where user_id is not null;
create index outcomes_accepted_at on tandem.outcomes using brin (accepted_at);

-- Takes outcomes in, all or none, and says what became of each, in order: {source, id, userId, name, value, time} with what
-- the API has checked. A time may be `ahead` of this clock or lie `back` by so much.
--
-- The second statement sees what the first waited for: two senders of one id meet at its row, and the later one compares.
-- Rows are written in the order of their ids, so that nobody waits crosswise.
create function tandem.accept_outcomes(sent jsonb, ahead interval, back interval) returns table (status text)
language plpgsql
set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
declare
  batch tandem.outcomes[];
  fresh tandem.outcomes[];
  wrong bigint;
begin
  batch := array(
    select row(s.source, s.id, sha256(convert_to(
        jsonb_build_array(s."userId", s.name, s.value, extract(epoch from s.time))::text, 'UTF8')),
      s."userId", s.name, s.value, s.time, 0, clock_timestamp())::tandem.outcomes
    from rows from (jsonb_to_recordset(sent) as (source text, id text, "userId" text, name text, value double precision,
      time timestamptz)) with ordinality as s(source, id, "userId", name, value, time, position)
    order by s.position);

  select min(position) into wrong from unnest(batch) with ordinality as b(source, id, payload_hash, user_id, name, value,
    time, context_version, accepted_at, position)
  where b.time > b.accepted_at + ahead or b.time < b.accepted_at - back;
  if wrong is not null then
    perform tandem.refuse_event('TD422', wrong, batch[wrong].source, batch[wrong].id, 'time',
      case when batch[wrong].time > batch[wrong].accepted_at
        then 'the outcome''s time is more than ' || extract(epoch from ahead)::int / 60 || ' minutes ahead of the database''s clock'
        else 'the outcome''s time is more than ' || extract(epoch from back)::int / 86400 || ' days ago' end,
      case when batch[wrong].time > batch[wrong].accepted_at then 'mend the sender''s clock, or send no time'
        else 'leave it out: no rollout counts it' end);
  end if;

  with inserted as (
    insert into tandem.outcomes (source, id, payload_hash, user_id, name, value, time, context_version, accepted_at)
    select b.source, b.id, b.payload_hash,
      case when not c.erased then b.user_id end, case when not c.erased then b.name end,
      case when not c.erased then b.value end, case when not c.erased then coalesce(b.time, b.accepted_at) end,
      c.version, b.accepted_at
    from unnest(batch) with ordinality as b(source, id, payload_hash, user_id, name, value, time, context_version,
      accepted_at, position)
    cross join lateral (
      select coalesce(max(u.version), 0) as version,
        coalesce(bool_or(u.deleted_version > 0 and u.version = u.deleted_version), false) as erased
      from tandem.user_contexts u where u.user_id = b.user_id) c
    order by b.source, b.id, b.position
    on conflict do nothing
    returning *
  )
  select array_agg(i::tandem.outcomes) into fresh from inserted i;

  select min(b.position) into wrong from unnest(batch) with ordinality as b(source, id, payload_hash, user_id, name, value,
    time, context_version, accepted_at, position)
  join tandem.outcomes o on o.source = b.source and o.id = b.id
  where o.payload_hash <> b.payload_hash;
  if wrong is not null then
    perform tandem.refuse_event('TD409', wrong, batch[wrong].source, batch[wrong].id, 'id',
      'this outcome id was used before, for another outcome', 'give each outcome an id of its own; repeat an outcome unchanged');
  end if;

  return query
    select case when f.id is null or b.nth > 1 then 'duplicate' when f.user_id is null then 'erased' else 'accepted' end
    from (
      select s.source, s.id, s.position, row_number() over (partition by s.source, s.id order by s.position) as nth
      from unnest(batch) with ordinality as s(source, id, payload_hash, user_id, name, value, time, context_version,
        accepted_at, position)) b
    left join unnest(fresh) f on f.source = b.source and f.id = b.id
    order by b.position;
end $$;
