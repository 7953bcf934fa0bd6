/** Installs and removes the functions and triggers of a watch. */
import { TandemError } from '@tandem/freshness/errors';
import { type Db, query, sqlState } from '../sql/database.ts';
import { quoteName } from '../sql/rights.ts';
import { changedColumns, lookupDepth } from './lookup-key.ts';
import { MAX_USERS, type WatchRequest } from './watch-request.ts';
import {
  createFunctionSql,
  createLookupSql,
  functionName,
  type LookupColumn,
  lookupName,
  OPERATIONS,
  triggerName,
} from './watch-trigger.ts';
import type { Watchable } from './watchable-table.ts';

/** The time limit for the lock, which is short: writers of the table wait while the triggers are created. */
const TABLE_LOCK = '2s';

export interface InstallOptions {
  readonly lockTimeout?: string;
  /** Whether triggers that are as they should be stay. They are not locked, and writers do not wait. */
  readonly keepsTriggers?: boolean;
}

interface InstalledWatch extends Pick<WatchRequest, 'key' | 'columns' | 'maxUsers'> {
  readonly id: number;
}

type Relation = Watchable['relations'][number];

/** Creates the functions of a watch, and its triggers on a table, on partitions and on tables that inherit from it. */
export async function installTriggers(
  db: Db,
  table: Watchable,
  watch: InstalledWatch,
  options: InstallOptions,
): Promise<void> {
  await createFunctions(db, table, watch);
  const { keepsTriggers = false, lockTimeout = TABLE_LOCK } = options;
  for (const relation of table.relations) {
    await withTableLock(db, relation.name, lockTimeout, () => createTriggers(db, relation, watch.id, keepsTriggers));
  }
}

async function createFunctions(db: Db, table: Watchable, watch: InstalledWatch): Promise<void> {
  const { id, key, columns, maxUsers = MAX_USERS } = watch;
  const { hasBinaryForm, virtualColumns } = table;
  const lookup = key !== null && lookupDepth(key) > 0 ? await typesOf(db, table, changedColumns(key)) : null;
  const stored = virtualColumns.length === 0 ? null : table.columns.filter((name) => !virtualColumns.includes(name));
  await createFunction(db, table, `${functionName(id)}()`, {
    text: createFunctionSql({ id, key, columns, lookup, stored, maxUsers, hasBinaryForm }),
  });
  if (key !== null && lookup !== null) {
    await createFunction(db, table, `${lookupName(id)}(jsonb)`, { text: createLookupSql(id, key, lookup) });
  }
}

async function createTriggers(db: Db, relation: Relation, id: number, keepsTriggers: boolean): Promise<void> {
  const { name, isOwned } = relation;
  for (const operation of OPERATIONS) {
    // A new trigger would lose ALWAYS, which only the table's owner can set.
    const kept = isOwned ? (keepsTriggers ? 'A' : '') : keepsTriggers ? 'AO' : 'A';
    if (kept !== '' && (await isEnabled(db, name, operation, { id, as: kept }))) continue;
    await query(db, {
      text: 'select tandem.create_watch_trigger($1, $2::regclass, $3)',
      values: [id, name, operation],
    });
    // The trigger also fires in sessions that replay changes (session_replication_role = replica). This needs the
    // table's owner.
    if (!isOwned) continue;
    await query(db, { text: `alter table only ${name} enable always trigger ${triggerName(operation)}` });
  }
}

/** Drops the functions of a watch with its triggers: dropping triggers one by one needs the owner of each table. */
export async function dropTriggers(db: Db, id: number, table: string): Promise<void> {
  await withTableLock(db, table, TABLE_LOCK, () =>
    query(db, { text: `drop function if exists ${functionName(id)}() cascade` }),
  );
  await query(db, { text: `drop function if exists ${lookupName(id)}(jsonb)` });
}

/** Returns whether a trigger of the watch exists, with one of these letters in pg_trigger.tgenabled. */
async function isEnabled(db: Db, relation: string, operation: string, { id, as }: { id: number; as: string }) {
  const found = await query(db, {
    text: `select from pg_trigger where tgrelid = to_regclass($1) and tgname = $2 and tgfoid = to_regproc($3)
      and strpos($4, tgenabled::text) > 0`,
    values: [relation, triggerName(operation), functionName(id), as],
  });
  return found.length > 0;
}

async function createFunction(db: Db, { schemaOwner }: Watchable, name: string, create: { text: string }) {
  await query(db, create);
  await query(db, { text: `alter function ${name} owner to ${quoteName(schemaOwner)}` });
  // A trigger fires without this right. Revoking it prevents other roles from using the function on their own tables.
  await query(db, { text: `revoke all on function ${name} from public` });
}

function typesOf(db: Db, { oid }: Watchable, columns: readonly string[]): Promise<LookupColumn[]> {
  return query<LookupColumn>(db, {
    text: `select attname::text as name, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = $1 and attname = any ($2::text[]) and attnum > 0 and not attisdropped order by attnum`,
    values: [oid, columns],
  });
}

async function withTableLock<T>(db: Db, table: string, timeout: string, work: () => Promise<T>): Promise<T> {
  await query(db, { text: `select set_config('lock_timeout', $1, true)`, values: [timeout] });
  return work().catch((error: unknown) => {
    if (sqlState(error) !== '55P03') throw error;
    throw new TandemError('unavailable', `Table ${table} is in use by a transaction that has written to it.`, {
      cause: error,
      remedy: 'wait until that transaction ends (pg_stat_activity shows it), then retry',
      retryAfter: 5,
    });
  });
}
