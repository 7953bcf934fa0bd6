-- A file of its own: together with user_contexts, its locks would stop certificates, which read both tables.
set local lock_timeout = '100ms';

-- How often a prediction was withdrawn: by a rollback, an aborted or promoted rollout, an adopted version, a changed policy,
-- or a predictor that is no longer served. While Postgres does not answer, a process serves an assignment only if Redis has
-- the count that the process read with it. The count rises with the revision, in the same row, so that certificates read no
-- more than before. A publication withdraws nothing: its former generation may still be served as unverified.
alter table tandem.settings add column withdrawals bigint not null default 0;

create function tandem.count_withdrawal() returns trigger language plpgsql as $$
begin
  update tandem.settings set withdrawals = withdrawals + 1;
  return null;
end $$;

create trigger arms_withdrawn after update on tandem.arms for each row
  when (new.overlay_floor > old.overlay_floor or new.model_version_id <> old.model_version_id
    or new.end_bucket - new.first_bucket < old.end_bucket - old.first_bucket)
  execute function tandem.count_withdrawal();
create trigger arms_removed after delete on tandem.arms for each row execute function tandem.count_withdrawal();
-- An `atOnce` canary is a rollback: it takes all users at once from the stable version.
create trigger rollouts_begun_at_once after update of state on tandem.rollouts for each row
  when (old.state = 'preparing' and new.state = 'running' and (new.plan ->> 'atOnce')::boolean)
  execute function tandem.count_withdrawal();
create trigger predictors_withdrawn after update on tandem.predictors for each row
  when ((old.active and not new.active) or new.policy is distinct from old.policy)
  execute function tandem.count_withdrawal();

-- Logins for feature queries that have the grants of before need this column, too.
do $$ declare login text; begin
  for login in
    select distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end
    from pg_catalog.pg_attribute c, pg_catalog.aclexplode(c.attacl) a
    where c.attrelid = 'tandem.settings'::regclass and c.attname = 'revision' and a.privilege_type = 'SELECT'
  loop
    execute format('grant select (withdrawals) on tandem.settings to %s', login);
  end loop;
end $$;
