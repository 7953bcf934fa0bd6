/**
 * Watches a table of a feature query: later changes raise the context versions of the concerned users in their own
 * transaction. Earlier changes are not detected.
 */
import type pg from 'pg';
import { changeEventRules, openRules, settleRules } from '../events/rule-changes.ts';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query } from '../sql/database.ts';
import { lockAssignments } from '../sql/settings.ts';
import { changeRows, statements } from '../sql/statements.ts';
import { dropTriggers, type InstallOptions, installTriggers } from './install-triggers.ts';
import { checkLookups } from './lookup-key.ts';
import { checkRequest, invalid, MAX_USERS, type WatchRequest } from './watch-request.ts';
import { findTable, findWatchable, type Watchable } from './watchable-table.ts';
import { beginRepair, endRepair, findServedObjects } from './watched-relations.ts';
import { listWatchedSources, type WatchedSource } from './watched-sources.ts';

export type Watched = Pick<WatchedSource, 'id' | 'name' | 'key' | 'predictors'>;

interface WatchOptions extends InstallOptions {
  /** The pool of feature statements; default: the same. */
  readonly features?: pg.Pool;
}

/**
 * Watches a table. Repeating it adds predictors, replaces key and columns, adds triggers to new partitions, and ends
 * the faults of the watch.
 */
export async function watchSource(pool: pg.Pool, request: WatchRequest, options: WatchOptions = {}): Promise<Watched> {
  const watched = (await findAsAsked(pool, request)) ?? (await watchAsAsked(pool, request, options));
  // Concurrent changes may still use the previous predictors.
  await settleRules(pool, request.predictors);
  return watched;
}

async function watchAsAsked(pool: pg.Pool, request: WatchRequest, options: WatchOptions): Promise<Watched> {
  const served = await findServedObjects(pool, options.features ?? pool);
  return changeEventRules(pool, async (db) => {
    const { keyType } = await lockAssignments(db);
    const table = await findWatchable(db, request.table);
    const [known, ...dead] = await findWatchesOf(db, table);
    await checkRequest(db, table, request, { keyType, isKnown: known !== undefined });
    if (known !== undefined) await refuseOtherKey(db, request, known.id);
    for (const one of dead) await forgetWatch(db, one);
    await renameWatches(db);
    const { id, predictors } = await keepWatch(db, table, request, known?.id);
    await beginRepair(db, id, table);
    await installTriggers(db, table, { ...request, id }, options);
    await endRepair(db, id, table.oid, served);
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

async function forgetWatch(db: Db, { id, name }: WatchedSource): Promise<void> {
  await query(db, { text: 'select tandem.settle_watch($1)', values: [id] });
  // First, so that the drop of its triggers is no fault of the watch.
  await changeRows(db, statements.deleteFrom('tandem.watched_relations').where('watch', '=', id));
  await changeRows(db, statements.deleteFrom('tandem.watched_sources').where('id', '=', id));
  await dropTriggers(db, id, name);
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
