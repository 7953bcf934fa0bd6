/** Checks that Postgres keeps acknowledged events: reads its settings and judges them. */

import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { duration } from '@tandem/commands/output/text';
import { type Db, query } from '@tandem/offline-store/sql/database';
import { grantsFor, quoteName } from '@tandem/offline-store/sql/rights';

/** Functions that distinguish one past of the cluster from another: tandem.current_history() calls them. */
const HISTORY_FUNCTIONS = ['pg_control_system()', 'pg_current_wal_insert_lsn()', 'pg_walfile_name(pg_lsn)'];

/** Reads the facts. `reset_val` does not show the values that Tandem's sessions set. */
export async function readPostgresFacts(db: Db): Promise<PostgresFacts> {
  const [facts] = await query<PostgresFacts>(db, {
    text: `select current_setting('server_version') as version, current_setting('server_version_num')::int as "versionNumber",
      current_database() as database, current_user as user, pg_is_in_recovery() as "inRecovery",
      current_setting('fsync') as fsync, current_setting('full_page_writes') as "fullPageWrites",
      current_setting('wal_level') as "walLevel", current_setting('server_encoding') as encoding,
      has_database_privilege(current_database(), 'create') as "mayCreate",
      array(select f from unnest($1::text[]) f where not coalesce(has_function_privilege(to_regprocedure(f), 'execute'), false))
        as "closedFunctions",
      current_setting('max_connections')::int as "maxConnections",
      (select count(*)::int from pg_stat_activity where datid is not null and usesysid is not null) as connections,
      (select json_object_agg(name, reset_val) from pg_settings where name = any($2)) as defaults,
      (select json_build_object('owner', pg_get_userbyid(n.nspowner), 'isOwner', pg_has_role(n.nspowner, 'usage'),
          'ownerIsSuperuser', (select r.rolsuper from pg_roles r where r.oid = n.nspowner),
          'closedTables', array(select c.relname::text from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p')
            and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
              and has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')
              and has_table_privilege(c.oid, 'delete')) order by 1))
        from pg_namespace n where n.nspname = 'tandem') as schema,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as now`,
    values: [HISTORY_FUNCTIONS, JUDGED_DEFAULTS],
  });
  if (facts === undefined) throw new Error('Postgres answered no row');
  return facts;
}

export interface PostgresFacts {
  /** The version as a text and as a number, for example `18.4` and 180004. */
  readonly version: string;
  readonly versionNumber: number;
  readonly database: string;
  readonly user: string;
  readonly inRecovery: boolean;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly walLevel: string;
  readonly encoding: string;
  readonly mayCreate: boolean;
  /** Functions that identify the past of the cluster, but that this user may not execute. */
  readonly closedFunctions: readonly string[];
  /** The values of `JUDGED_DEFAULTS` in this user's sessions on this database that set nothing. */
  readonly defaults: Readonly<Record<string, string>>;
  /** The schema `tandem`, if it exists: its owner, and this user's rights in it. */
  readonly schema: {
    readonly owner: string;
    readonly ownerIsSuperuser: boolean;
    /** Whether this user owns the schema. Only the owner can create and drop the partitions of generations. */
    readonly isOwner: boolean;
    /** Tables that this user may not read and write. */
    readonly closedTables: readonly string[];
  } | null;
  readonly maxConnections: number;
  readonly connections: number;
  /** Postgres' clock, in ms since 1970. */
  readonly now: number;
}

/** The releases with which the tests were run. */
const OLDEST_MAJOR = 15;
const NEWEST_MAJOR = 18;
const RIGHTS = 'docs/postgres.md, "Rights in Postgres"';
const CONNECTIONS_NEEDED = 30;
const SKEW_WORTH_TELLING_MS = 1_000;

/**
 * Judges the settings and rights in Postgres.
 * @param here this machine's clock in the middle of the query, in ms since 1970
 */
export function judgePostgres(facts: PostgresFacts, here: number): Finding[] {
  return [
    judgeVersion(facts),
    judgeRights(facts),
    judgeDurability(facts),
    judgeDefaults(facts),
    judgeConnections(facts),
    judgeClock(facts.now - here),
  ];
}

function judgeVersion({ version, versionNumber, database, inRecovery, encoding }: PostgresFacts): Finding {
  const major = Math.floor(versionNumber / 10_000);
  if (major < OLDEST_MAJOR) return failed('postgres', `${version} is too old`, `use Postgres ${OLDEST_MAJOR} or newer`);
  if (inRecovery) {
    const remedy = 'set DATABASE_URL to the primary: a standby cannot certify that a prediction is fresh';
    return failed('postgres', `${version}, but it is a standby`, remedy);
  }
  if (encoding !== 'UTF8') {
    return failed('postgres', `database ${database} is encoded in ${encoding}`, "create it with encoding 'UTF8'");
  }
  if (major > NEWEST_MAJOR) {
    const remedy = `use Postgres ${OLDEST_MAJOR} to ${NEWEST_MAJOR}`;
    return warning('postgres', `${version} is newer than the tested versions`, remedy);
  }
  return ok('postgres', `${version}, primary, database ${database}`);
}

function judgeRights({ user, database, mayCreate, closedFunctions, schema }: PostgresFacts): Finding {
  if (schema && schema.closedTables.length > 0) {
    const [first, ...others] = schema.closedTables;
    const tables = others.length === 0 ? `tandem.${first}` : `tandem.${first} and ${others.length} other tables`;
    return failed('rights', `${user} may not read and write ${tables}`, grantsFor(user, schema.owner));
  }
  if (schema && !schema.isOwner) {
    const text = `${user} is not the owner of schema tandem: this is enough for the API, but a worker could not create generations`;
    // No serving process should be a superuser.
    const asOwner = schema.ownerIsSuperuser ? '' : `run the worker as the owner, ${schema.owner}; or `;
    return warning('rights', text, `${asOwner}make ${user} the owner of all objects in the schema: ${RIGHTS}`);
  }
  if (closedFunctions.length > 0) {
    const text = `${user} may not execute ${closedFunctions.join(', ')}: each restart of Postgres begins another history, in which earlier live answers are ignored and active runs begin again (docs/postgres.md, "Managed Postgres")`;
    const grants = closedFunctions.map((name) => `grant execute on function ${name} to ${quoteName(user)}`);
    return warning('rights', text, grants.join('; '));
  }
  if (mayCreate || schema) return ok('rights', `${user} may ${mayCreate ? 'migrate' : 'read and write'}`);
  const remedy = `grant create on database ${quoteName(database)} to ${quoteName(user)}; or migrate as another user`;
  return warning('rights', `${user} may not create the schema tandem`, remedy);
}

function judgeDurability({ fsync, defaults, fullPageWrites, walLevel }: PostgresFacts): Finding {
  const synchronousCommit = defaults.synchronous_commit;
  if (fsync !== 'on') {
    const remedy = "alter system set fsync = 'on', then reload";
    return failed('durability', 'fsync is off: a crash loses acknowledged events', remedy);
  }
  if (fullPageWrites !== 'on') {
    const remedy = "alter system set full_page_writes = 'on', then reload";
    return warning('durability', 'full_page_writes is off: a crash may damage tables', remedy);
  }
  // Tandem's transactions set it, and the trigger sets it in transactions that insert events in SQL.
  if (synchronousCommit === 'off') {
    const remedy = "alter system set synchronous_commit = 'on'";
    const text = 'synchronous_commit is off: a crash may lose commits of your application, but not those with events';
    return warning('durability', text, remedy);
  }
  return ok('durability', `fsync on, synchronous_commit ${synchronousCommit}, wal_level ${walLevel}`);
}

/** Settings that Tandem's connections override, with the defaults of Postgres. */
const USUAL_DEFAULTS: Readonly<Record<string, RegExp>> = {
  DateStyle: /^iso\b/i,
  IntervalStyle: /^postgres$/,
  bytea_output: /^hex$/,
  default_transaction_deferrable: /^off$/,
  default_transaction_isolation: /^read committed$/,
  extra_float_digits: /^[1-3]$/,
  jit: /^off$/,
  standard_conforming_strings: /^on$/,
  statement_timeout: /^0$/,
};

/** The settings whose defaults are judged, as `pg_settings` spells them. */
const JUDGED_DEFAULTS = [
  ...Object.keys(USUAL_DEFAULTS),
  ...['default_transaction_read_only', 'session_replication_role', 'synchronous_commit'],
];

function judgeDefaults({ user, database, defaults }: PostgresFacts): Finding {
  const reset = (setting: string) =>
    `alter role ${quoteName(user)} reset ${setting}; alter database ${quoteName(database)} reset ${setting}`;
  // Only a superuser may set it, so Tandem's connections cannot.
  if (defaults.session_replication_role === 'replica') {
    const text = `session_replication_role is replica for ${user}: triggers do not fire, so events change nothing`;
    return failed('settings', text, `as a superuser: ${reset('session_replication_role')}`);
  }
  if (defaults.default_transaction_read_only === 'on') {
    const text = 'default_transaction_read_only is on: Tandem still writes, but events inserted in SQL are rejected';
    const first = 'free disk space if a provider set it because the disk was full';
    return warning('settings', text, `${first}; then ${reset('default_transaction_read_only')}`);
  }
  const others = Object.entries(USUAL_DEFAULTS).flatMap(([name, usual]) =>
    usual.test(defaults[name] ?? '') ? [] : [`${name} ${defaults[name]}`],
  );
  if (others.length === 0) return ok('settings', 'as Tandem sets them');
  return ok('settings', `${others.join(', ')}: Tandem's connections override them`);
}

function judgeConnections({ maxConnections, connections }: PostgresFacts): Finding {
  const free = maxConnections - connections;
  if (free >= CONNECTIONS_NEEDED) return ok('connections', `${connections} of ${maxConnections} in use`);
  const remedy = 'raise max_connections, or use a pooler: docs/postgres-connections.md, "Behind a pooler"';
  return warning('connections', `only ${free} of ${maxConnections} are free`, remedy);
}

/**
 * Judges this machine's clock. It decides nothing, but times in logs and in `--time` are compared with those of
 * Postgres.
 */
function judgeClock(skewMs: number): Finding {
  if (Math.abs(skewMs) < SKEW_WORTH_TELLING_MS)
    return ok('clock', `within ${duration(SKEW_WORTH_TELLING_MS)} of Postgres'`);
  const text = `this machine's clock is ${duration(Math.abs(skewMs))} ${skewMs > 0 ? 'behind' : 'ahead of'} Postgres'`;
  return warning('clock', text, 'synchronise both with NTP; freshness does not depend on it, but times in logs do');
}
