-- Whatever raises a context version or a source version is committed durably, also in an application's transaction that
-- asked for less: a crash that lost such a commit would leave predictions of it, whose labels are then too new.
-- remote_write, on and remote_apply all wait for this server's disk, and stay as they are; nothing is ever lowered.
create function tandem.commit_durably() returns trigger language plpgsql as $$
begin
  if pg_catalog.current_setting('synchronous_commit') in ('off', 'local') then
    perform pg_catalog.set_config('synchronous_commit', 'on', true);
  end if;
  return null;
end $$;

-- Each waits for transactions that have raised versions and not ended; others would wait behind it meanwhile.
set local lock_timeout = '100ms';
create trigger commit_durably before update on tandem.user_contexts
  for each statement execute function tandem.commit_durably();
create trigger commit_durably before update on tandem.source_versions
  for each statement execute function tandem.commit_durably();

-- How many connections the process may open to this server, those of a pooler apart. Null: a release that does not say.
alter table tandem.processes add column connections int check (connections > 0);
