-- Names the history also where a function is missing, or is refused when it is called: a provider's Postgres may do either,
-- and has_function_privilege sees neither. The start time of this Postgres takes its place, as where a function is revoked
-- (0021). The text of the name is the same as before, so this migration changes no history.
--
-- Any other error ends the statement, so that a passing failure never looks like another history; on a standby that of
-- pg_current_wal_insert_lsn does.
create or replace function tandem.current_history() returns text
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
  server text := '';
  timeline text := '';
  started text := '';
begin
  begin
    if has_function_privilege('pg_control_system()', 'execute') then
      server := (select system_identifier from pg_control_system())::text;
    end if;
    if has_function_privilege('pg_current_wal_insert_lsn()', 'execute') and has_function_privilege('pg_walfile_name(pg_lsn)', 'execute') then
      timeline := substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
    end if;
  exception when insufficient_privilege or undefined_function or feature_not_supported then
    -- The two lines below see what is missing.
  end;
  if timeline = '' and pg_is_in_recovery() then
    raise exception 'recovery is in progress' using errcode = '55000', hint = 'Ask the primary for the history.';
  end if;
  if server = '' or timeline = '' then
    started := extract(epoch from pg_postmaster_start_time())::text;
  end if;
  return (select substr(md5(server || '/' || timeline || '/' || started || '/' || d.oid || '/' || d.datname || '/' || r.rotation), 1, 16)
    from tandem.history_rotation r, pg_database d where r.one and d.datname = current_database());
end $$;
