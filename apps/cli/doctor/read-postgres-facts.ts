/** Asks Postgres what it is. */
import { type Db, query } from '@tandem/offline-store/sql/database';
import { JUDGED_DEFAULTS, type PostgresFacts, type SchemaRights } from './judge-postgres.ts';

export async function readPostgresFacts(db: Db): Promise<PostgresFacts> {
  const rows = await query<Omit<PostgresFacts, 'defaults' | 'schema'>>(db, {
    text: `select current_setting('server_version') as version, current_setting('server_version_num')::int as "versionNumber",
      current_database() as database, current_user as user, pg_is_in_recovery() as "inRecovery",
      current_setting('fsync') as fsync, current_setting('full_page_writes') as "fullPageWrites",
      current_setting('wal_level') as "walLevel", current_setting('server_encoding') as encoding,
      has_database_privilege(current_database(), 'create') as "mayCreate",
      array(select f from unnest($1::text[]) f where not has_function_privilege(f, 'execute')) as "closedFunctions",
      current_setting('max_connections')::int as "maxConnections",
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as now`,
    values: [HISTORY_FUNCTIONS],
  });
  const [facts] = rows;
  if (facts === undefined) throw new Error('Postgres answered no row');
  return { ...facts, schema: await readSchemaRights(db), defaults: await readDefaults(db) };
}

/** What tells one past of the cluster from another: tandem.current_history() calls them. */
const HISTORY_FUNCTIONS = ['pg_control_system()', 'pg_current_wal_insert_lsn()', 'pg_walfile_name(pg_lsn)'];

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

/** What sessions of this user on this database get that set nothing. Ours set their own, which `reset_val` does not tell. */
async function readDefaults(db: Db): Promise<PostgresFacts['defaults']> {
  const rows = await query<{ name: string; value: string }>(db, {
    text: 'select name, reset_val as value from pg_settings where name = any($1)',
    values: [JUDGED_DEFAULTS],
  });
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}
