/**
 * Checks the login of feature statements: that it reaches the service's database, and that it has only the necessary
 * rights in schema `tandem`. It needs the rights for a row's label and for the certificate.
 */
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { createPool, type PoolOptions, query, queryOne } from '../sql/database.ts';
import { schemaState } from '../sql/migrate.ts';
import { assertSameDatabase, type DatabasePaths, leadsThroughPooler } from '../sql/paths.ts';
import { isRefusal, quoteName } from '../sql/rights.ts';

const FIELD = 'FEATURES_DATABASE_URL';
const DOCUMENT = 'docs/postgres.md, "A login for feature queries"';

/** The columns that statements with a feature query read, by table. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  arm_overrides: ['rollout_id', 'user_id', 'arm'],
  arms: [
    ...['predictor', 'name', 'model_version_id', 'overlay_floor', 'revision', 'expires_from', 'generation_id'],
    ...['first_bucket', 'end_bucket'],
  ],
  generations: ['id', 'number', 'buckets', 'started_at', 'run_id', 'base_id'],
  history_rotation: ['rotation'],
  migrations: ['name'],
  model_versions: ['id', 'number'],
  // The plan of a stale run reads which users have an entry; a comparison by segments reads the outputs of two
  // generations.
  overlay: ['predictor', 'user_id', 'model_version_id', 'overlay_floor', 'history', 'context_version'],
  predictions: ['generation_id', 'user_id', 'context_version', 'outputs'],
  predictors: ['name', 'active', 'patterns_pending'],
  rollouts: ['id', 'predictor', 'kind', 'step', 'salt', 'plan', 'state'],
  runs: ['id', 'source_version'],
  settings: ['one', 'revision', 'protocol', 'withdrawals'],
  source_versions: ['predictor', 'version'],
  user_contexts: ['user_id', 'version', 'touched', 'touched_all', 'deleted_version', 'features'],
  watch_faults: ['predictor'],
};

/** Creates the pool of the feature statements' login. `featuresUrl` equals `url` if there is only one login. */
export function createFeaturePool(paths: DatabasePaths, options: Omit<PoolOptions, 'url' | 'variable'>): pg.Pool {
  const { url, featuresUrl = url } = paths;
  const named = featuresUrl === url ? {} : { variable: FIELD };
  return createPool({ ...options, ...named, url: featuresUrl, throughPooler: leadsThroughPooler(featuresUrl, paths) });
}

/** Returns the statements with which the owner of the schema lets `user` run feature statements. */
export function featureGrantsFor(user: string): string {
  return [
    `grant usage on schema tandem to ${quoteName(user)}`,
    ...Object.entries(COLUMNS).map(
      ([table, columns]) => `grant select (${columns.join(', ')}) on tandem.${table} to ${quoteName(user)}`,
    ),
    `grant execute on function tandem.current_history() to ${quoteName(user)}`,
  ].join('; ');
}

/**
 * Checks the login. Rejects with `config_invalid` if the login of feature statements reaches another database or a
 * standby, or lacks a right; with `unavailable` if either login gets no answer.
 * @returns false if the schema does not exist yet, so that only the database was compared
 */
export async function assertFeatureLogin(pool: pg.Pool, features: pg.Pool): Promise<boolean> {
  const theirs = await assertSameDatabase(pool, features, FIELD);
  if ((await schemaState(pool)).state !== 'current') return false;
  const missing = (await findMissing(pool, theirs.user)) ?? (await tryHistory(features));
  if (missing === null) return true;
  throw new TandemError('config_invalid', `User ${theirs.user} of ${FIELD} ${missing}.`, {
    field: FIELD,
    remedy: `let the owner of schema tandem run: ${featureGrantsFor(theirs.user)}; see ${DOCUMENT}`,
  });
}

/** Returns the tables of COLUMNS and, in the same order, their columns. */
function readableColumns(): [tables: string[], columns: string[]] {
  const all = Object.entries(COLUMNS).flatMap(([table, columns]) => columns.map((column) => [table, column] as const));
  return [all.map(([table]) => table), all.map(([, column]) => column)];
}

/** Returns the first missing right as a text; null if none is missing. */
async function findMissing(pool: pg.Pool, user: string): Promise<string | null> {
  const { missing } = await queryOne<{ missing: string | null }>(pool, {
    text: `select case when not has_schema_privilege($1::name, 'tandem', 'usage') then 'may not use schema tandem' else (
        select 'may not read tandem.' || r.name || '.' || r.col
        from unnest($2::text[], $3::text[]) with ordinality as r(name, col, no)
        where not has_column_privilege($1::name, 'tandem.' || r.name, r.col, 'select') order by r.no limit 1)
      end as missing`,
    values: [user, ...readableColumns()],
  });
  return missing;
}

/** Reads the history, which needs functions of Postgres that may be revoked. Returns the missing right, or null. */
async function tryHistory(features: pg.Pool): Promise<string | null> {
  try {
    await query(features, { text: 'select tandem.current_history()' });
    return null;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return `may not read the history of the database: ${error.message}`;
  }
}

/**
 * Roles whose members may read or change more than the grants allow. A query can assume a role, even with set_config.
 */
const TOO_MUCH = [
  ...['pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files'],
  'pg_execute_server_program',
];

/** Returns the most serious right of the login beyond its grants, as a text; null if it has none. */
export async function findExcess(features: pg.Pool): Promise<string | null> {
  const { excess } = await queryOne<{ excess: string | null }>(features, {
    text: `with held as (select oid, rolname, rolsuper from pg_catalog.pg_roles where pg_has_role(oid, 'member')),
      relations as (
        select c.oid, c.relname, c.relkind, n.nspname, h.oid as role from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace join held h on has_schema_privilege(h.oid, n.oid, 'usage')
        where c.relkind in ('r', 'p', 'v', 'm') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_')
      select coalesce(
        (select case when rolname = current_user then 'is a superuser' else 'is a member of superuser ' || rolname end
          from held where rolsuper order by rolname <> current_user, rolname limit 1),
        (select 'is a member of ' || rolname from held where rolname = any($1) order by rolname limit 1),
        (select 'may write ' || nspname || '.' || relname from relations
          where relkind in ('r', 'p') and has_table_privilege(role, oid, 'insert, update, delete, truncate')
          order by nspname <> 'tandem', 1 limit 1),
        (select 'may read tandem.' || r.relname || '.' || a.attname from relations r
          join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
          where r.nspname = 'tandem' and has_column_privilege(r.role, r.oid, a.attnum, 'select')
            and (r.relname, a.attname) not in (select * from unnest($2::name[], $3::name[]))
          order by r.relname, a.attnum limit 1)) as excess`,
    values: [TOO_MUCH, ...readableColumns()],
  });
  return excess;
}

/**
 * Returns the extensions by which a query of the login can use other connections: functions of dblink, and foreign
 * servers of postgres_fdw. The read-only transaction does not cover these. A query can assume each role that the login
 * is a member of.
 */
export async function findOutwardExtensions(features: pg.Pool): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(features, {
    text: `with held as (select oid from pg_catalog.pg_roles where pg_has_role(oid, 'member'))
      select e.extname::text as name from pg_catalog.pg_extension e
      where e.extname = 'dblink' and exists (
          select from pg_catalog.pg_depend d join pg_catalog.pg_proc p on p.oid = d.objid
          join held h on has_function_privilege(h.oid, p.oid, 'execute') and has_schema_privilege(h.oid, p.pronamespace, 'usage')
          where d.classid = 'pg_catalog.pg_proc'::regclass and d.refclassid = 'pg_catalog.pg_extension'::regclass
            and d.refobjid = e.oid and p.proname in ('dblink', 'dblink_connect', 'dblink_connect_u', 'dblink_exec'))
        or e.extname = 'postgres_fdw' and exists (
          select from pg_catalog.pg_foreign_server s join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
          join held h on has_server_privilege(h.oid, s.oid, 'usage')
          where w.fdwname = 'postgres_fdw')
      order by 1`,
  });
  return rows.map(({ name }) => name);
}
