/**
 * Watches a table of a feature query: later changes raise the context versions of the concerned users in their own
 * transaction. Earlier changes are not detected.
 */
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { changeEventRules, openRules, settleRules } from '../events/rule-changes.ts';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query, sqlState } from '../sql/database.ts';
import { quoteName } from '../sql/rights.ts';
import { lockAssignments } from '../sql/settings.ts';
import { changeRows, statements } from '../sql/statements.ts';
import { changedColumns, checkLookups, looksUp } from './lookup-key.ts';
import { checkRequest, invalid, type WatchRequest } from './watch-request.ts';
import {
  createFunctionSql,
  createLookupSql,
  createTriggerSql,
  functionName,
  type LookupColumn,
  lookupName,
  OPERATIONS,
  triggerName,
} from './watch-trigger.ts';
import { findQueryObjects, findTable, findWatchable, type Watchable } from './watchable-table.ts';
import { listWatchedSources, type WatchedSource } from './watched-sources.ts';

export interface Watched {
  readonly id: number;
  /** The name of the table: `schema.table`. */
  readonly name: string;
  readonly key: string | null;
  readonly predictors: readonly string[];
}

export const MAX_USERS = 10_000;
/** The time limit for the lock, which is short: writers of the table wait while the triggers are created. */
const TABLE_LOCK = '2s';

/** Watches a table. Repeating it adds predictors, replaces key and columns, and adds triggers to new partitions. */
export async function watchSource(pool: pg.Pool, request: WatchRequest): Promise<Watched> {
  const watched = (await findAsAsked(pool, request)) ?? (await watchAsAsked(pool, request));
  await recordQueries(pool, watched);
  // Concurrent changes may still use the previous predictors.
  await settleRules(pool, request.predictors);
  return watched;
}

function watchAsAsked(pool: pg.Pool, request: WatchRequest): Promise<Watched> {
  return changeEventRules(pool, async (db) => {
    const { keyType } = await lockAssignments(db);
    const table = await findWatchable(db, request.table);
    const [known, ...dead] = await findWatchesOf(db, table);
    await checkRequest(db, table, request, { keyType, isKnown: known !== undefined });
    if (known !== undefined) await refuseOtherKey(db, request, known.id);
    for (const one of dead) await forgetWatch(db, one);
    await renameWatches(db);
    const { id, predictors } = await keepWatch(db, table, request, known?.id);
    await createTriggers(db, table, id, request);
    await query(db, {
      text: 'update tandem.watched_sources set relation = $2, is_always = $3 where id = $1',
      values: [id, table.oid, table.relations.every(({ isOwned }) => isOwned)],
    });
    await query(db, { text: 'select tandem.record_form($1), tandem.settle_watch($1)', values: [id] });
    if (known !== undefined) await openRules(db, predictors);
    await insertAudit(db, { actor: request.actor, action: 'watch', predictor: null, detail: { ...request, id } });
    return { id, name: table.name, key: request.key, predictors };
  });
}

/**
 * Returns the watch if it already is as requested. Every process that adopts a config repeats the watch, and an
 * unchanged watch must take no locks.
 */
async function findAsAsked(db: Db, request: WatchRequest): Promise<Watched | undefined> {
  const { table, key, columns, predictors, maxUsers = MAX_USERS } = request;
  const [known, ...others] = (await listWatchedSources(db)).filter(await isOn(db, table));
  if (!known || others.length > 0 || known.broken.length > 0 || known.key !== key || known.maxUsers !== maxUsers)
    return undefined;
  if (JSON.stringify(known.columns) !== JSON.stringify(columns)) return undefined;
  if (known.faults.length > 0 || (known.isLookedUpEarly && (await isSafe(db, known, predictors)))) return undefined;
  return predictors.every((name) => known.predictors.includes(name)) ? known : undefined;
}

/** Records the views and functions that the predictors' queries read: replacing one changes features. */
async function recordQueries(pool: pg.Pool, { id, predictors }: Watched): Promise<void> {
  const queries = await query<{ sql: string }>(pool, {
    text: `select distinct v.definition -> 'query' ->> 'sql' as sql from tandem.arms a
      join tandem.model_versions v on v.id = a.model_version_id where a.predictor = any ($1::text[])`,
    values: [predictors],
  });
  const read = await Promise.all(queries.map(({ sql }) => findQueryObjects(pool, sql)));
  const views = unique(read.flatMap((one) => one.views));
  const functions = unique(read.flatMap((one) => one.functions));
  const [other] = await query(pool, {
    text: 'select tandem.record_form(id) from tandem.watched_sources where id = $1 and (views, functions) is distinct from ($2, $3)',
    values: [id, views, functions],
  });
  if (!other) return;
  await query(pool, {
    text: `update tandem.watched_sources w set views = $2, functions = $3,
      form = array(select f from unnest(w.form) f where f not like 'view %' and f not like 'function %') where id = $1`,
    values: [id, views, functions],
  });
  await query(pool, { text: 'select tandem.record_form($1)', values: [id] });
}

function unique(oids: readonly number[]): readonly number[] {
  return [...new Set(oids)].sort((a, b) => a - b);
}

/** Returns whether a watch of an earlier release, which looks up its key too early, can be created again. */
function isSafe(db: Db, { oid, key }: WatchedSource, predictors: readonly string[]): Promise<boolean> {
  return checkLookups(db, oid ?? 0, key ?? '', predictors).then(
    () => true,
    () => false,
  );
}

/** Checks the table and the rights, and rejects like `watchSource`. Changes nothing. */
export async function checkWatchable(db: Db, request: WatchRequest): Promise<void> {
  if (!(await findAsAsked(db, request))) await findWatchable(db, request.table);
}

/**
 * Removes each watch with triggers on the table, and the records of dropped tables with its name. Returns the names of
 * the tables that are no longer watched; none if the table was not watched.
 */
export function unwatchSource(pool: pg.Pool, table: string, actor: string): Promise<readonly string[]> {
  return changeEventRules(pool, async (db) => {
    await lockAssignments(db);
    const found = (await listWatchedSources(db)).filter(await isOn(db, table));
    for (const one of found) {
      await forgetWatch(db, one);
      await insertAudit(db, { actor, action: 'unwatch', predictor: null, detail: { table: one.name, id: one.id } });
    }
    return [...new Set(found.map(({ name }) => name))];
  });
}

/**
 * Returns a function that checks whether a watch belongs to the table, or to an earlier, dropped table with that name.
 */
async function isOn(db: Db, table: string): Promise<(watch: WatchedSource) => boolean> {
  const named = await findTable(db, table);
  if (!named) return ({ oid, name }) => oid === null && (name === table || name === `public.${table}`);
  return ({ oid, name }) => oid === named.oid || (oid === null && name === named.name);
}

/** Returns the watch of the table, then the watches of earlier, dropped tables with its name. */
async function findWatchesOf(db: Db, table: Watchable): Promise<readonly WatchedSource[]> {
  const watched = await listWatchedSources(db);
  return watched.filter(await isOn(db, table.name)).sort((a, b) => Number(a.oid === null) - Number(b.oid === null));
}

/** Drops a trigger function with its triggers: dropping triggers one by one needs the owner of each table. */
async function forgetWatch(db: Db, { id, name }: WatchedSource): Promise<void> {
  await query(db, { text: 'select tandem.settle_watch($1)', values: [id] });
  // First, so that the drop of its triggers is no fault of the watch.
  await changeRows(db, statements.deleteFrom('tandem.watched_sources').where('id', '=', id));
  await withTableLock(db, name, () => query(db, { text: `drop function if exists ${functionName(id)}() cascade` }));
  await query(db, { text: `drop function if exists ${lookupName(id)}(jsonb)` });
}

/** Records the current names of tables, since another table may take an old name. */
async function renameWatches(db: Db): Promise<void> {
  for (const { id, name } of (await listWatchedSources(db)).filter((one) => one.name !== one.watchedAs)) {
    await changeRows(db, statements.updateTable('tandem.watched_sources').set({ name }).where('id', '=', id));
  }
}

/**
 * Rejects another key for a watched table: a table has one key, and another key would end the watch for the other
 * predictors.
 */
async function refuseOtherKey(db: Db, { table, key, predictors }: WatchRequest, known: number): Promise<void> {
  const [others] = await query<{ key: string | null; names: string[] }>(db, {
    text: `select key, array(select p from unnest(predictors) as u(p) where not p = any ($2::text[])) as names
      from tandem.watched_sources where id = $1 and key is distinct from $3`,
    values: [known, predictors, key],
  });
  if (!others || others.names.length === 0) return;
  const by = others.key === null ? 'for everyone' : `by ${others.key}`;
  throw invalid(
    'key',
    `${table} is watched ${by} for predictor ${others.names.join(', ')}, but a table can have only one key.`,
    `use that key, or end that watch first: tandem unwatch ${table}`,
  );
}

async function keepWatch(db: Db, table: Watchable, request: WatchRequest, known: number | undefined) {
  const { key, columns, predictors, maxUsers = MAX_USERS } = request;
  const values = [table.name, key, columns, predictors, maxUsers];
  const [kept] = await query<{ id: number; predictors: string[] }>(db, {
    text:
      known === undefined
        ? `insert into tandem.watched_sources (name, key, columns, predictors, max_users) values ($1, $2, $3, $4, $5)
            returning id, predictors`
        : `update tandem.watched_sources set name = $1, key = $2, columns = $3, max_users = $5,
              predictors = array(select distinct p from unnest(predictors || $4::text[]) as u(p) order by p)
            where id = $6 returning id, predictors`,
    values: known === undefined ? values : [...values, known],
  });
  if (!kept) throw new Error(`watch ${known} was removed`);
  await query(db, {
    text: `insert into tandem.source_versions (predictor) select unnest($1::text[]) on conflict do nothing`,
    values: [kept.predictors],
  });
  return kept;
}

async function createTriggers(db: Db, table: Watchable, id: number, request: WatchRequest): Promise<void> {
  const { key, columns, maxUsers = MAX_USERS } = request;
  const { hasBinaryForm, virtualColumns } = table;
  const lookup = looksUp(key) ? await typesOf(db, table, changedColumns(key)) : null;
  const stored = virtualColumns.length === 0 ? null : table.columns.filter((name) => !virtualColumns.includes(name));
  await createFunction(db, table, `${functionName(id)}()`, {
    text: createFunctionSql({ id, key, columns, lookup, stored, maxUsers, hasBinaryForm }),
  });
  if (key !== null && lookup !== null) {
    await createFunction(db, table, `${lookupName(id)}(jsonb)`, { text: createLookupSql(id, key, lookup) });
  }
  for (const relation of table.relations) {
    await withTableLock(db, relation.name, async () => {
      for (const operation of OPERATIONS) {
        await query(db, { text: createTriggerSql(relation.name, operation, id) });
        // The trigger also fires in sessions that replay changes (session_replication_role = replica). This needs the
        // table's owner.
        if (!relation.isOwned) continue;
        await query(db, { text: `alter table only ${relation.name} enable always trigger ${triggerName(operation)}` });
      }
    });
  }
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

async function withTableLock<T>(db: Db, table: string, work: () => Promise<T>): Promise<T> {
  await query(db, { text: `select set_config('lock_timeout', $1, true)`, values: [TABLE_LOCK] });
  return work().catch((error: unknown) => {
    if (sqlState(error) !== '55P03') throw error;
    throw new TandemError('unavailable', `Table ${table} is in use by a transaction that has written to it.`, {
      cause: error,
      remedy: 'wait until that transaction ends (pg_stat_activity shows it), then retry',
      retryAfter: 5,
    });
  });
}
