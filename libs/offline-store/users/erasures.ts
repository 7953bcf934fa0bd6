/**
 * Erasures. The tombstone is a separate short transaction. It waits only for senders of the same user's events, other
 * erasures, and changes of assignments. The deletes follow one by one. Until they are complete, predictions labelled up
 * to the deleted version are not served; unfinished deletes are repeated.
 */
import { isErased } from '@tandem/freshness/certificate';
import { PROTOCOL } from '@tandem/freshness/protocol';
import type {
  DueSweep,
  ErasureStore,
  OnlineLocations,
  Readmission,
  Tombstone,
} from '@tandem/prediction/erasure/erasure';
import { sql } from 'kysely';
import type pg from 'pg';
import { deleteKeptExplanations } from '../explanations/kept-explanations.ts';
import { deletePredictionsOf } from '../generations/erased-predictions.ts';
import { deleteReadCounts } from '../reads/read-demand.ts';
import { countChanged, type Db, listsOf, query, queryOne, transaction } from '../sql/database.ts';
import { checkProtocol, holdProtocol, writeKnown } from '../sql/protocol.ts';
import { findCount, lockAssignments } from '../sql/settings.ts';
import { changeRows, currentHistory, fetchFirst, statements } from '../sql/statements.ts';

/**
 * SQL of the times of the sweeps after the erasure: a chunk in progress (minutes) or a stopped process may still write.
 */
const SWEEPS = `(array['5 s', '3 min', '15 min', '1 h']::interval[])`;

const PAGE = 10_000;

export function createErasureStore(pool: pg.Pool): ErasureStore {
  return {
    setTombstone: (userId) => transaction(pool, (db) => setTombstone(db, userId)),
    readmit: (userId) => transaction(pool, (db) => readmit(db, userId)),
    async deleteRows(numbers) {
      // Labels decide which rows are deleted. Each table is processed in a transaction for which a change of the
      // protocol waits.
      const remove = (text: string) => writeKnown(pool, (db) => countChanged(db, { text, values: [numbers] }));
      const events = (await remove(clearLog('events'))) + (await remove(clearLog('events_before')));
      const overlayEntries = await remove(DELETE_OVERLAY);
      const runFailures = await remove(DELETE_FAILURES);
      const outcomes = await remove(CLEAR_OUTCOMES);
      const overrides = await deleteOverrides(pool, numbers);
      await remove(RESET_PASSES);
      return {
        ...{ events, overlayEntries, runFailures, outcomes },
        exposures: overrides + (await remove(DELETE_EXPOSURES)),
        keptExplanations: await writeKnown(pool, (db) => deleteKeptExplanations(db, numbers)),
        readCounts: await writeKnown(pool, (db) => deleteReadCounts(db, numbers)),
        predictions: await deletePredictionsOf(pool, numbers),
      };
    },
    locations: () => findLocations(pool),
    count: () => findCount(pool, 'erasures'),
    due: (limit) => findDue(pool, limit),
    sweepAgain: (above) => sweepAgain(pool, above),
    swept: (sweeps) => countSweeps(pool, sweeps),
  };
}

/** Returns the user's context, locked until the transaction ends. */
function lockContext(db: Db, userId: string) {
  const contextValues = sql<number>`(select count(*) from jsonb_object_keys(features))`;
  const context = statements
    .selectFrom('tandem.user_contexts')
    .select(['version', 'deleted_version as deletedVersion', contextValues.as('contextValues')])
    .where('user_id', '=', userId);
  return fetchFirst(db, context.forUpdate());
}

/**
 * Sets the tombstone. Locks the user before the count, which all erasures share and which must be locked only briefly.
 */
async function setTombstone(db: Db, userId: string): Promise<{ tombstone: Tombstone; contextValues: number }> {
  await checkProtocol(db);
  const contexts = statements.insertInto('tandem.user_contexts').values({ user_id: userId });
  const missing = contexts.onConflict((row) => row.doNothing());
  await changeRows(db, missing);
  const context = await lockContext(db, userId);
  if (!context) throw new Error('the context of a user that is being erased no longer exists');
  const wasErased = isErased(context);
  if (!wasErased) await raiseTombstone(db, userId);
  const erasure = statements
    .selectFrom('tandem.erasures')
    .select(['user_id as userId', 'number', 'deleted_version as version', 'erased_at as erasedAt'])
    .select(currentHistory().as('history'))
    .where('user_id', '=', userId);
  const tombstone = await fetchFirst(db, erasure);
  if (!tombstone) {
    // The number was raised after it was read.
    await checkProtocol(db);
    throw new Error('an erased user has no erasure');
  }
  return { tombstone, contextValues: wasErased ? 0 : context.contextValues };
}

async function raiseTombstone(db: Db, userId: string): Promise<void> {
  await query(db, {
    text: `with erased as (
        update tandem.user_contexts set version = version + 1, deleted_version = version + 1, features = '{}',
          touched = '{}', demanded = null, updated_at = clock_timestamp()
        where user_id = $1 returning version
      ), announced as (
        insert into tandem.outbox (user_id, context_version) select $1, version from erased
      ), counted as (
        update tandem.settings set erasures = erasures + 1 where protocol = ${PROTOCOL} returning erasures
      )
      insert into tandem.erasures (number, user_id, deleted_version, sweep_at)
      select counted.erasures, $1, erased.version, clock_timestamp() + ${SWEEPS}[1] from erased, counted
      on conflict (user_id) do update set number = excluded.number, deleted_version = excluded.deleted_version,
        erased_at = excluded.erased_at, sweeps = 0, sweep_at = excluded.sweep_at`,
    values: [userId],
  });
}

async function readmit(db: Db, userId: string): Promise<Readmission> {
  const context = await lockContext(db, userId);
  await holdProtocol(db);
  const wasErased = context !== undefined && isErased(context);
  const row = await queryOne<{ history: string; version: number }>(db, {
    text: wasErased
      ? `update tandem.user_contexts set version = version + 1, updated_at = clock_timestamp() where user_id = $1
          returning tandem.current_history() as history, version`
      : 'select tandem.current_history() as history, $2::bigint as version where $1::text is not null',
    values: wasErased ? [userId] : [userId, context?.version ?? 0],
  });
  return { userId, ...row, wasErased };
}

// Statements for the erasures with these numbers, $1.

/**
 * Deletes the data of events by the versions that they produced, since a clock may have been set back. Their ids stay
 * as long as other ids, so that a late duplicate is recognised. An event without an id is older than any event that a
 * sweep must delete.
 * @param table the log; `events_before` is the log from before migrations/0051_events_by_day.sql
 */
const clearLog = (table: 'events' | 'events_before') => `update tandem.${table} e set data = null from tandem.erasures t
  where t.number = any($1::bigint[]) and e.user_id collate "C" = t.user_id and e.data is not null
    and not exists (select from tandem.event_ids k
      where k.source = e.source collate "C" and k.id = e.id collate "C" and k.context_version > t.deleted_version)`;

const DELETE_OVERLAY = `delete from tandem.overlay o using tandem.erasures t, tandem.model_versions v
  where t.number = any($1::bigint[]) and o.predictor = v.predictor and o.model_version_id = v.id
    and o.user_id = t.user_id and o.context_version <= t.deleted_version`;

const DELETE_FAILURES = `delete from tandem.run_failures f using tandem.erasures t
  where t.number = any($1::bigint[]) and f.user_id collate "C" = t.user_id
    and exists (select from tandem.runs r where r.id = f.run_id and r.created_at <= t.erased_at)`;

/** Deletes the outcomes. Their ids stay, so that a late duplicate is recognised. */
const CLEAR_OUTCOMES = `update tandem.outcomes o set user_id = null, name = null, value = null, time = null
  from tandem.erasures t
  where t.number = any($1::bigint[]) and o.user_id = t.user_id and o.context_version <= t.deleted_version`;

/** Restarts outcome passes that have stopped at an erased user. */
const RESET_PASSES = `update tandem.outcome_passes p set as_of = null, after_user = '', sums = '[]'
  from tandem.erasures t where t.number = any($1::bigint[]) and p.after_user = t.user_id`;

/**
 * Deletes exposures by the primary key, step by step, including steps that a restore has undone. A user is in few
 * rollouts, and an index by user would have no other use. The planner assumes a thousand steps per rollout, and `offset
 * 0` prevents it from reading all exposures instead.
 */
const DELETE_EXPOSURES = `delete from tandem.exposures where ctid = any (array(
  select e.ctid from tandem.erasures t cross join tandem.rollouts r
  cross join generate_series(0, greatest(r.step, jsonb_array_length(r.plan -> 'steps'))) s
  cross join lateral (
    select x.ctid from tandem.exposures x
    where x.rollout_id = r.id and x.step = s and x.user_id = t.user_id and x.context_version <= t.deleted_version
    offset 0) e
  where t.number = any($1::bigint[])))`;

/** Deletes overrides. Locks the assignments first, like each change of an override. */
async function deleteOverrides(pool: pg.Pool, numbers: readonly number[]): Promise<number> {
  const erased = 'tandem.erasures t where t.number = any($1::bigint[]) and o.user_id = t.user_id';
  const values = [numbers];
  const found = await query(pool, { text: `select from tandem.arm_overrides o, ${erased} limit 1`, values });
  if (found.length === 0) return 0;
  return writeKnown(pool, async (db) => {
    await lockAssignments(db);
    return countChanged(db, { text: `delete from tandem.arm_overrides o using ${erased}`, values });
  });
}

/**
 * Returns the due sweeps, latest erasures first, so that a new erasure does not wait behind repeated ones. A context
 * version above the tombstone's means that the user was readmitted.
 */
async function findDue(db: Db, limit: number): Promise<readonly DueSweep[]> {
  return query<DueSweep>(db, {
    text: `select t.number, t.user_id as "userId", t.sweeps, c.version > t.deleted_version as "isReadmitted"
      from tandem.erasures t join tandem.user_contexts c on c.user_id = t.user_id
      where t.sweep_at <= clock_timestamp() order by t.sweep_at desc limit $1`,
    values: [limit],
  });
}

/** Makes ended sweeps due again, page by page: one statement for a million erasures would exceed its time limit. */
async function sweepAgain(db: Db, above: number): Promise<void> {
  for (let last: number | undefined = above; last !== undefined; ) {
    const [page]: { readonly last: number | null }[] = await query<{ last: number | null }>(db, {
      text: `with ended as (
          select number from tandem.erasures where number > $1 and sweep_at is null order by number limit ${PAGE}
        ), begun as (
          update tandem.erasures t set sweep_at = clock_timestamp() + ${SWEEPS}[1] from ended
          where t.number = ended.number returning t.number
        ) select max(number) as last from begun`,
      values: [last],
    });
    last = page?.last ?? undefined;
  }
}

/**
 * Counts sweeps by compare-and-set: if two workers made the same sweep, one counts it; else the last sweep would be
 * left out.
 */
async function countSweeps(db: Db, sweeps: readonly DueSweep[]): Promise<void> {
  await query(db, {
    text: `update tandem.erasures t set sweeps = t.sweeps + 1, sweep_at = t.erased_at + ${SWEEPS}[t.sweeps + 2]
      from unnest($1::bigint[], $2::int[]) as made(number, sweeps)
      where t.number = made.number and t.sweeps = made.sweeps`,
    values: listsOf(sweeps, 'number', 'sweeps'),
  });
}

/**
 * Returns the places where Redis may hold records of users, including predictors that are not served: their entries are
 * kept for a while.
 */
function findLocations(db: Db): Promise<OnlineLocations> {
  return queryOne<OnlineLocations>(db, {
    text: `select array(select name from tandem.predictors) as predictors,
      (select coalesce(json_agg(json_build_object('id', id, 'buckets', buckets)), '[]')
        from tandem.generations where state <> 'dropped') as generations`,
  });
}
