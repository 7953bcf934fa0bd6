-- Stored answers that replace fresh predictions of the same context.
set local lock_timeout = '100ms';

-- An answer to `no-cache` or `max-age`, and an entry of a run of named users, may have the label of the user's row in the
-- generation, and is newer. Processes remember rows of generations, so certificates name such an entry. By predictor, the newest:
-- [model version, overlay floor, history, context version, computed_at in ms]. In the row that every certificate reads already: a
-- lookup in tandem.overlay cost a certificate of one user 15 % of its CPU, and one of 1,000 users 140 %.
alter table tandem.user_contexts add column demanded jsonb;

-- Notes entries of one model version, floor and history. It waits for no transaction that holds the context of a user, and at most
-- 0.1 s in all for a transaction that makes a user known. The entry of such a user is not noted: a process that remembers an older
-- prediction may then answer with it, until that transaction, or a later event, makes the prediction stale.
create function tandem.note_demanded(noted_predictor text, entry jsonb, users text[], versions bigint[], times float8[]) returns void
language plpgsql set lock_timeout = '100ms' as $$
begin
  begin
    insert into tandem.user_contexts (user_id)
    select e.user_id from (select user_id collate "C" as user_id from unnest(users) e(user_id)) e
    where not exists (select from tandem.user_contexts c where c.user_id = e.user_id) order by 1
    on conflict do nothing;
  exception when lock_not_available then null;
  end;
  with free as materialized (
    select c.user_id, c.demanded -> noted_predictor as known from tandem.user_contexts c
    where c.user_id = any (users) and not (c.deleted_version > 0 and c.version = c.deleted_version)
    order by c.user_id for update skip locked
  )
  update tandem.user_contexts c
  set demanded = coalesce(c.demanded, '{}') || jsonb_build_object(noted_predictor, entry || jsonb_build_array(e.version, e.time))
  from free f, unnest(users, versions, times) e(user_id, version, time)
  where e.user_id collate "C" = f.user_id and c.user_id = f.user_id
    and (f.known is null or jsonb_path_query_array(f.known, '$[0 to 2]') <> entry
      or (e.version, e.time) > ((f.known ->> 3)::bigint, (f.known ->> 4)::float8));
end $$;
