/** Checks a requested watch: its predictors, its columns, and whether the trigger can evaluate its key. */
import { TandemError } from '@tandem/freshness/errors';
import type { KeyType } from '@tandem/freshness/user-id';
import { type Db, execute, query } from '../sql/database.ts';
import { quoteName } from '../sql/rights.ts';
import { checkLookups, lookupDepth } from './lookup-key.ts';
import { keySql } from './watch-trigger.ts';
import type { Watchable } from './watchable-table.ts';

export const MAX_USERS = 10_000;

export interface WatchRequest {
  /** `table` or `schema.table`, as SQL spells it. */
  readonly table: string;
  /** The SQL expression over a row (alias `changed`) that gives its user id; null: a row belongs to every user. */
  readonly key: string | null;
  /** The columns whose changes count; null: all. */
  readonly columns: readonly string[] | null;
  /** The predictors, in addition to those that the table is already watched for. */
  readonly predictors: readonly string[];
  /**
   * The maximum number of users in a statement. A statement that changes more users makes every stored prediction stale
   * instead.
   */
  readonly maxUsers?: number;
  readonly actor: string;
}

/** The allowed types of the expression, by the type of user ids. */
const TYPES: Readonly<Record<KeyType, readonly string[]>> = {
  int8: ['bigint', 'integer', 'smallint'],
  uuid: ['uuid'],
  text: ['text', 'character varying', 'character', 'name', 'citext'],
};

interface Standing {
  readonly keyType: KeyType | null;
  /** Whether the table is already watched. */
  readonly isKnown: boolean;
}

/** Rejects a request that names unknown predictors or columns, or a key that the trigger cannot evaluate. */
export async function checkRequest(
  db: Db,
  table: Watchable,
  { key, columns, predictors }: WatchRequest,
  { keyType, isKnown }: Standing,
): Promise<void> {
  if (keyType === null || (predictors.length === 0 && !isKnown)) {
    throw invalid(
      'predictors',
      'No predictor of this database reads the table.',
      'adopt a config that reads it, then watch it',
    );
  }
  const [unknown] = await query<{ name: string }>(db, {
    text: `select name from unnest($1::text[]) as p(name) where name not in (select name from tandem.predictors)`,
    values: [predictors],
  });
  if (unknown)
    throw invalid('predictors', `There is no predictor ${unknown.name}.`, 'use the name of an adopted predictor');
  const gone = columns?.find((column) => !table.columns.includes(column));
  if (gone !== undefined) {
    throw invalid(
      'columns',
      `Table ${table.name} has no column ${gone}.`,
      `use one or more of ${table.columns.join(', ')}`,
    );
  }
  const virtual = table.virtualColumns.find(
    (name) => columns?.includes(name) || (key !== null && namesColumn(key, name)),
  );
  if (virtual !== undefined) {
    throw invalid(
      columns?.includes(virtual) ? 'columns' : 'key',
      `Column ${virtual} of ${table.name} is a virtual generated column, which has no value in a trigger.`,
      'use the columns that it is computed from, or make it stored',
    );
  }
  if (key !== null) await checkKey(db, table, key, keyType);
  if (key !== null && lookupDepth(key) > 0) await checkLookups(db, table.oid, key, predictors);
}

function namesColumn(key: string, column: string): boolean {
  const plain = column.replaceAll(/[$.*+?^()[\]{}|\\]/g, String.raw`\$&`);
  return new RegExp(`(?<![\\w$])"?${plain}"?(?![\\w$])`, 'i').test(key);
}

/**
 * Checks the key expression in the way that the trigger function evaluates it: with the rights of the schema's owner,
 * and only pg_catalog on the search path.
 */
async function checkKey(db: Db, table: Watchable, key: string, keyType: KeyType): Promise<void> {
  await query(db, { text: 'savepoint key_check' });
  const type = await typeOfKey(db, table, key).catch((error: unknown) => {
    throw invalid(
      'key',
      `Postgres rejects the key expression ${key}: ${error instanceof Error ? error.message : String(error)}`,
      `use a column of ${table.name}, or an expression over its columns; write other tables with their schema, and let ${quoteName(table.schemaOwner)} read them; if a row belongs to all users, set everyone instead of a key`,
      error,
    );
  });
  await query(db, { text: 'rollback to savepoint key_check' });
  if (type !== undefined && TYPES[keyType].some((known) => type === known || type.startsWith(`${known}(`))) return;
  throw invalid(
    'key',
    `The key expression ${key} gives ${type ?? 'more than one column'}, but user ids are of type ${keyType}.`,
    `cast it to ${keyType === 'int8' ? 'bigint' : keyType}`,
  );
}

async function typeOfKey(db: Db, table: Watchable, key: string): Promise<string | undefined> {
  await query(db, { text: `set local role ${quoteName(table.schemaOwner)}` });
  await query(db, { text: 'set local search_path = pg_catalog, pg_temp' });
  await query(db, { text: 'set local row_security = off' });
  // The row is built as in the trigger, which needs no right on the table itself.
  const row = `jsonb_populate_record(null::${table.name}, '{}')`;
  const { fields } = await execute(db, { text: `select (\n${key}\n) from ${row} changed limit 0` });
  await execute(db, { text: `select ${keySql(key)} from ${row} changed limit 0` });
  const [field, second] = fields;
  if (!field || second) return undefined;
  const [type] = await query<{ name: string }>(db, {
    text: "select format_type(case when typtype = 'd' then typbasetype else oid end, null) as name from pg_type where oid = $1",
    values: [field.dataTypeID],
  });
  return type?.name;
}

export function invalid(field: string, message: string, remedy: string, cause?: unknown): TandemError {
  return new TandemError('config_invalid', message, { field, remedy, cause });
}
