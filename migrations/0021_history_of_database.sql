-- Adds the database's oid and name to the history, and a substitute for what the owner may not read.
--
-- Two databases of one cluster share its system identifier and timeline, and a restored copy shares the rotation. The oid
-- tells them apart; the name as well, since CREATE DATABASE can be given the oid of a dropped database.
--
-- Providers revoke pg_control_system and the WAL functions. The start time of this Postgres takes the place of what cannot
-- be read: another server, a standby that is promoted later, and a restored copy each started at another moment. It also
-- changes with each restart, which costs live answers until the next run and is otherwise safe.
--
-- SECURITY DEFINER: the rights of the functions' owner decide, never those of the login that asks. Two processes with
-- different logins always read the same history. The rights are asked at each call, so a later grant or revoke begins another
-- history. PL/pgSQL, since an SQL function checks the rights of every function in it, called or not, and is planned again
-- for each statement.
create or replace function tandem.current_history() returns text
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
  server text := '';
  timeline text := '';
  started text := '';
begin
  if has_function_privilege('pg_control_system()', 'execute') then
    server := (select system_identifier from pg_control_system())::text;
  else
    started := extract(epoch from pg_postmaster_start_time())::text;
  end if;
  if has_function_privilege('pg_current_wal_insert_lsn()', 'execute') and has_function_privilege('pg_walfile_name(pg_lsn)', 'execute') then
    -- Fails on a standby: a caller that reads a history has asked the primary.
    timeline := substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
  elsif pg_is_in_recovery() then
    raise exception 'recovery is in progress' using errcode = '55000', hint = 'Ask the primary for the history.';
  else
    started := extract(epoch from pg_postmaster_start_time())::text;
  end if;
  return (select substr(md5(server || '/' || timeline || '/' || started || '/' || d.oid || '/' || d.datname || '/' || r.rotation), 1, 16)
    from tandem.history_rotation r, pg_database d where r.one and d.datname = current_database());
end $$;
