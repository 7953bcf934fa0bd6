-- What is told of a run when it has ended, and what keeps a release before 0062 from harming runs with a budget beside this one.
-- Such a refusal looks like a lock that is held: it tries again, and a worker of this release does the work.
set local lock_timeout = '100ms';

alter table tandem.runs add column note text;

-- A run that begins again in another history makes its generation anew. A release before 0062 forgets the base: what it made of
-- some users would look like a generation of everyone. Chunks of a plan name users only above a base.
create function tandem.keep_layers() returns trigger language plpgsql as $$ begin
  if exists (select from tandem.runs r where r.id = new.run_id and r.budget is not null)
    and exists (select from tandem.chunks c where c.run_id = new.run_id and c.split_from is null and c.user_ids is not null) then
    raise exception 'run % scores some users, and its generation names no base', new.run_id
      using errcode = '55P03', hint = 'A worker of the newest release begins the run again.';
  end if;
  return new;
end $$;
create trigger keep_layers before insert on tandem.generations
  for each row when (new.base_id is null) execute function tandem.keep_layers();

-- When a run begins again, a chunk as it was planned gets back the users who were split off from it. A release before 0063 lets
-- both wait, and scores those users twice. Elsewhere no fence is raised of a chunk that waits then.
create function tandem.keep_split_chunks() returns trigger language plpgsql as $$ begin
  raise exception 'chunk % of run % was split off: its users wait with chunk %', new.no, new.run_id, new.split_from
    using errcode = '55P03', hint = 'A worker of the newest release begins the run again.';
end $$;
create trigger keep_split_chunks before update of state on tandem.chunks
  for each row when (new.split_from is not null and new.state = 'waiting' and new.fence > old.fence)
  execute function tandem.keep_split_chunks();
