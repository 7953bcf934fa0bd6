-- Names the history also where a function is missing, or is refused when it is called: a provider's Postgres may do either,
-- and has_function_privilege sees neither. The start time of this Postgres takes its place, as where a function is revoked
-- (0021). The text of the name is the same as before, so this migration changes no history.
--
-- Whether a function works is tried here and by each `tandem migrate`, not at each call: a statement that reads the history
-- may have a parallel plan, in which Postgres 15 and 16 allow no subtransaction, and so no exception to be caught.
alter table tandem.history_rotation
  add column hides_server boolean not null default false,
  add column hides_timeline boolean not null default false;

-- Any other error ends the migration, so that a passing failure never looks like another history.
create function tandem.probe_history() returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  no_server boolean := false;
  no_timeline boolean := false;
begin
  begin
    if has_function_privilege('pg_control_system()', 'execute') then
      perform system_identifier from pg_control_system();
    end if;
  exception when insufficient_privilege or undefined_function or feature_not_supported then
    no_server := true;
  end;
  begin
    if has_function_privilege('pg_current_wal_insert_lsn()', 'execute') and has_function_privilege('pg_walfile_name(pg_lsn)', 'execute') then
      perform pg_walfile_name(pg_current_wal_insert_lsn());
    end if;
  exception when insufficient_privilege or undefined_function or feature_not_supported then
    no_timeline := true;
  end;
  update tandem.history_rotation set hides_server = no_server, hides_timeline = no_timeline
    where (hides_server, hides_timeline) <> (no_server, no_timeline);
end $$;
revoke execute on function tandem.probe_history() from public;
select tandem.probe_history();

create or replace function tandem.current_history() returns text
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
  past tandem.history_rotation;
  server text := '';
  timeline text := '';
  started text := '';
begin
  select * into strict past from tandem.history_rotation where one;
  if not past.hides_server then
    if has_function_privilege('pg_control_system()', 'execute') then
      server := (select system_identifier from pg_control_system())::text;
    end if;
  end if;
  if not past.hides_timeline then
    if has_function_privilege('pg_current_wal_insert_lsn()', 'execute') and has_function_privilege('pg_walfile_name(pg_lsn)', 'execute') then
      -- Fails on a standby: a caller that reads a history has asked the primary.
      timeline := substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
    end if;
  end if;
  if timeline = '' and pg_is_in_recovery() then
    raise exception 'recovery is in progress' using errcode = '55000', hint = 'Ask the primary for the history.';
  end if;
  if server = '' or timeline = '' then
    started := extract(epoch from pg_postmaster_start_time())::text;
  end if;
  return (select substr(md5(server || '/' || timeline || '/' || started || '/' || d.oid || '/' || d.datname || '/' || past.rotation), 1, 16)
    from pg_database d where d.datname = current_database());
end $$;
