/** Asks Postgres what it is. */
import { type Db, query } from '@tandem/offline-store/database';
import type { PostgresFacts, SchemaRights } from './judge-postgres.ts';

export async function readPostgresFacts(db: Db): Promise<PostgresFacts> {
  const rows = await query<Omit<PostgresFacts, 'synchronousCommit' | 'schema'> & { mayReadFiles: boolean }>(db, {
    text: `select current_setting('server_version') as version, current_setting('server_version_num')::int as "versionNumber",
      current_database() as database, current_user as user, pg_is_in_recovery() as "inRecovery",
      current_setting('fsync') as fsync, current_setting('full_page_writes') as "fullPageWrites",
      current_setting('wal_level') as "walLevel", current_setting('server_encoding') as encoding,
      has_database_privilege(current_database(), 'create') as "mayCreate",
      has_function_privilege('pg_control_system()', 'execute') as "mayReadControl",
      has_function_privilege('pg_show_all_file_settings()', 'execute') as "mayReadFiles",
      current_setting('max_connections')::int as "maxConnections",
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as now`,
  });
  const [facts] = rows;
  if (facts === undefined) throw new Error('Postgres answered no row');
  const { mayReadFiles, ...rest } = facts;
  return {
    ...rest,
    schema: await readSchemaRights(db),
    synchronousCommit: await readSynchronousCommit(db, mayReadFiles),
  };
}

async function readSchemaRights(db: Db): Promise<SchemaRights | null> {
  const rows = await query<SchemaRights>(db, {
    text: `select pg_get_userbyid(n.nspowner) as owner, pg_has_role(n.nspowner, 'usage') as "isOwner",
      (select r.rolsuper from pg_roles r where r.oid = n.nspowner) as "ownerIsSuperuser",
      array(select c.relname::text from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p')
        and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
          and has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')
          and has_table_privilege(c.oid, 'delete')) order by 1) as "closedTables"
      from pg_namespace n where n.nspname = 'tandem'`,
  });
  return rows[0] ?? null;
}

/**
 * What sessions get that set nothing. Ours set it, so it cannot be read as a setting: it is put together from where the
 * server takes it (files, then the database, then the role); null where the files may not be read and nothing else says.
 */
async function readSynchronousCommit(db: Db, mayReadFiles: boolean): Promise<string | null> {
  const overrides = await query<{ value: string }>(db, {
    text: `select split_part(entry, '=', 2) as value
      from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) as entry
      where entry like 'synchronous_commit=%' and (s.setdatabase = 0 or d.datname = current_database())
        and s.setrole in (0, current_user::regrole)
      order by s.setrole <> 0 desc, s.setdatabase <> 0 desc limit 1`,
  });
  if (overrides[0]) return overrides[0].value;
  if (!mayReadFiles) return null;
  const files = await query<{ value: string }>(db, {
    text: `select setting as value from pg_file_settings where name = 'synchronous_commit' and applied order by seqno desc limit 1`,
  });
  return files[0]?.value ?? 'on';
}
