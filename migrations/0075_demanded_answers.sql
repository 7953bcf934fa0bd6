-- Stored answers that replace fresh predictions of the same context, and the count of withdrawals.
set local lock_timeout = '100ms';

-- An answer to `no-cache` or `max-age`, and an entry of a run of named users, may have the label of the user's row in the
-- generation, and is newer. Processes remember rows of generations, so certificates name such an entry. By predictor, the newest:
-- [model version, overlay floor, history, computed_at in ms]. In the row that every certificate reads already: a lookup in
-- tandem.overlay cost a certificate of one user 15 % of its CPU, and one of 1,000 users 140 %.
alter table tandem.user_contexts add column demanded jsonb;

-- Notes entries of one model version, floor and history. It waits for other transactions at most 0.1 s for each user: an open
-- transaction with an event of the user delays no read. The entry of a user who stays locked is not noted, and processes that
-- remember an older prediction may then answer with it.
create function tandem.note_demanded(noted_predictor text, entry jsonb, users text[], times float8[]) returns void
language plpgsql set lock_timeout = '100ms' as $$
declare
  one record;
begin
  for one in
    select e.user_id collate "C" as user_id, jsonb_build_object(noted_predictor, entry || to_jsonb(e.time)) as noted
    from unnest(users, times) e(user_id, time) order by 1
  loop
    begin
      insert into tandem.user_contexts as c (user_id, demanded) values (one.user_id, one.noted)
      on conflict (user_id) do update set demanded = coalesce(c.demanded, '{}') || excluded.demanded
      where coalesce((c.demanded -> noted_predictor ->> 3)::float8, 0) < (excluded.demanded -> noted_predictor ->> 3)::float8;
    exception when lock_not_available then null;
    end;
  end loop;
end $$;

-- How often a prediction was withdrawn: by a rollback, an aborted or promoted rollout, an adopted version, a changed policy, or
-- a predictor that is no longer served. While Postgres does not answer, a process serves an assignment only if Redis has the count that the process
-- read with it. It rises with the revision, in the same row, so that certificates read no more than before. A publication
-- withdraws nothing: its former generation may still be served as unverified.
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
