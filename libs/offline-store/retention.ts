/**
 * Deletes expired rows, table by table. A batch finds its rows by an index, in the order of their age, and starts where
 * the last batch ended. So its cost does not depend on kept rows, nor on deleted rows that are not vacuumed yet.
 */
import type { ExpiredRows, Expiry } from '@tandem/prediction/runs/expire';
import type pg from 'pg';
import { dropContextValues } from './events/context-values.ts';
import { dropExpiredDay, makeEventDays, OLDEST_DAY_ENDED } from './events/event-days.ts';
import { expireKeptExplanations } from './explanations/kept-explanations.ts';
import { expireReadCounts } from './reads/read-demand.ts';
import { countChanged, type Db, limitStatements, query, queryOne, transaction } from './sql/database.ts';
import { lockAssignments } from './sql/settings.ts';
import { anyOf, changeRows, statements } from './sql/statements.ts';

/** The maximum number of rows in a batch. */
const ROWS = 10_000;
const BATCH_MS = 10_000;
/** The maximum number of runs in a batch. A run's chunks, possibly thousands, are deleted with it. */
const RUNS = 20;
/**
 * The maximum number of rollouts in a batch, which holds the lock of assignments. The checks of each, possibly
 * thousands, are deleted in one statement.
 */
const ROLLOUTS = 5;
/** The number of finished runs, and of ended rollouts, that are kept for each predictor. */
const KEPT = 200;
/**
 * The horizon of outcomes. It exceeds the greatest accepted age of an outcome (outcomes.ts), so that a duplicate is
 * recognised as long as it would be accepted.
 */
const OUTCOMES = `(select clock_timestamp() - interval '180 days')`;
/** The horizon of event ids: an event may be up to five minutes ahead of its acceptance, so its id is kept longer. */
const HORIZON = `(select clock_timestamp() - event_horizon - interval '1 hour' from tandem.settings)`;

/** Tables whose rows expire with the time since their acceptance. */
const BY_AGE = [
  { table: 'events_before', horizon: HORIZON },
  { table: 'event_ids', horizon: HORIZON },
  { table: 'outcomes', horizon: OUTCOMES },
];

/** The position where the next batch of a step begins; null: at the oldest rows. */
type Position = readonly string[] | null;

interface Batch extends ExpiredRows {
  readonly next: Position;
}

/** Creates the expiries, which are independent of each other. */
export function createExpiries(pool: pg.Pool): readonly Expiry[] {
  const step = (name: string, batch: (db: pg.PoolClient, from: Position) => Promise<Batch>): Expiry => ({
    name,
    expireSome: () => claim(pool, name, batch),
  });
  const counted = (name: string, perBatch: number, batch: (db: pg.PoolClient) => Promise<number>) =>
    step(name, async (db) => {
      const rows = await batch(db);
      return { rows, isDone: rows < perBatch, next: null };
    });
  return [
    { name: 'events', expireSome: () => keepEventDays(pool) },
    ...BY_AGE.map(({ table, horizon }) => step(table, (db, from) => expireByAge(db, table, horizon, from))),
    step('exposures', expireExposures),
    step('overlay', expireOverlay),
    step('read_demand', expireReadDemand),
    step('user_contexts', dropContextValues),
    counted('kept_explanations', ROWS, (db) => expireKeptExplanations(db, ROWS)),
    counted('shadow_movers', Number.POSITIVE_INFINITY, expireShadowMovers),
    counted('rollouts', ROLLOUTS, expireRollouts),
    counted('names', RUNS, expireNames),
    counted('runs', RUNS, expireRuns),
  ];
}

/** Deletes one batch in one transaction, which locks the step's row, so that other workers take other steps. */
async function claim(
  pool: pg.Pool,
  step: string,
  batch: (db: pg.PoolClient, from: Position) => Promise<Batch>,
): Promise<ExpiredRows> {
  return transaction(pool, async (db) => {
    await limitStatements(db, BATCH_MS);
    await query(db, {
      text: 'insert into tandem.expiry_steps (step) values ($1) on conflict do nothing',
      values: [step],
    });
    const [claimed] = await query<{ position: Position }>(db, {
      text: 'select position from tandem.expiry_steps where step = $1 for update skip locked',
      values: [step],
    });
    if (!claimed) return { rows: 0, isDone: true };
    const { next, ...expired } = await batch(db, claimed.position);
    await query(db, {
      text: 'update tandem.expiry_steps set position = $2 where step = $1 and position is distinct from $2',
      values: [step, next && JSON.stringify(next)],
    });
    return expired;
  });
}

/**
 * Creates the partitions of coming days, then drops an expired one, so that there is always a partition for an event.
 */
async function keepEventDays(pool: pg.Pool): Promise<ExpiredRows> {
  await claim(pool, 'event_days', async (db) => {
    await makeEventDays(db);
    return { rows: 0, isDone: true, next: null };
  });
  return claim(pool, 'events', async (db) => {
    // The simple protocol is used: the extended protocol keeps a snapshot, for which detaching would wait.
    await db.query('select');
    return { ...(await dropExpiredDay(pool, HORIZON)), next: null };
  });
}

/**
 * Deletes rows by their acceptance. A row that was changed concurrently is left to the next batch, which then begins at
 * the same position. A position from a clock that was ahead is ignored.
 */
async function expireByAge(db: Db, table: string, horizon: string, from: Position): Promise<Batch> {
  const { rows, old, last } = await queryOne<{ rows: number; old: number; last: string | null }>(db, {
    text: `with old as materialized (
        select ctid, accepted_at from tandem.${table}
        where accepted_at < ${horizon}
          and accepted_at >= case when $1::timestamptz < ${horizon} then $1::timestamptz else '-infinity' end
        order by accepted_at limit ${ROWS}
      ), gone as (
        delete from tandem.${table} where ctid = any (array(select ctid from old)) returning 1
      )
      select (select count(*) from gone) as rows, count(*) as old, max(accepted_at)::text as last from old`,
    values: [from?.[0] ?? null],
  });
  return { rows, isDone: old < ROWS, next: last === null || rows < old ? from : [last] };
}

/** A user id that sorts before all others. */
const NO_ID = '00000000-0000-0000-0000-000000000000';

/**
 * Deletes exposures of ended rollouts, since an active rollout needs all of them. It deletes one rollout after the
 * other in the order of their ends, and the rows of a rollout in the order of the primary key.
 */
async function expireExposures(db: Db, from: Position): Promise<Batch> {
  const [lastEnd = '-infinity', lastId = NO_ID, ...within] = from ?? [];
  const [rollout] = await query<{ id: string; end: string }>(db, {
    text: `select id, ended_at::text as end from tandem.rollouts
      where ended_at < ${OUTCOMES} and (ended_at, id) > ($1::timestamptz, $2::uuid) order by ended_at, id limit 1`,
    values: [lastEnd, lastId],
  });
  if (!rollout) return { rows: 0, isDone: true, next: from };
  const [id, step = '0', userId = ''] = within;
  const [last] = await query<{ rows: number; old: number; step: string; userId: string }>(db, {
    text: `with old as materialized (
        select ctid, step, user_id from tandem.exposures where rollout_id = $1 and (step, user_id) >= ($2::int, $3)
        order by step, user_id limit ${ROWS}
      ), gone as (
        delete from tandem.exposures where ctid = any (array(select ctid from old)) returning 1
      )
      select (select count(*) from gone) as rows, (select count(*) from old) as old, step::text, user_id as "userId" from old
      order by old.step desc, user_id desc limit 1`,
    values: [rollout.id, ...(id === rollout.id ? [step, userId] : ['0', ''])],
  });
  if (!last) return { rows: 0, isDone: false, next: [rollout.end, rollout.id] };
  const { rows, old } = last;
  // A row that an erasure has locked is left to the next batch, which begins where this one did.
  if (rows < old) return { rows, isDone: false, next: from };
  const next = old === ROWS ? [lastEnd, lastId, rollout.id, last.step, last.userId] : [rollout.end, rollout.id];
  return { rows, isDone: false, next };
}

/**
 * Deletes ended rollouts with their checks and counts. A rollout is deleted only after its exposures, of which there
 * may be millions with a longer retention. The audit keeps its decisions.
 */
async function expireRollouts(db: Db): Promise<number> {
  const old = await query<{ id: string }>(db, {
    text: `select id from (
        select id, row_number() over (partition by predictor order by number desc) as n from tandem.rollouts
        where ended_at is not null
      ) over_by_now
      where n > $1 and not exists (select from tandem.exposures e where e.rollout_id = over_by_now.id)
      limit $2`,
    values: [KEPT, ROLLOUTS],
  });
  // A statement without a changed row would still raise the revision, and every process would load all arms again.
  if (old.length === 0) return 0;
  const ids = old.map(({ id }) => id);
  // Checks are deleted before the lock: a rollout that was judged every minute for a month has 40,000.
  await changeRows(db, statements.deleteFrom('tandem.rollout_checks').where('rollout_id', '=', anyOf(ids)));
  await changeRows(db, statements.deleteFrom('tandem.arm_counts').where('rollout_id', '=', anyOf(ids)));
  await lockAssignments(db);
  return changeRows(db, statements.deleteFrom('tandem.rollouts').where('id', '=', anyOf(ids)));
}

/**
 * Deletes overlay entries of model versions that no arm and no kept generation uses. If such a version is adopted
 * again, its users are inferred again. The primary key finds the entries version by version, without reading others.
 */
async function expireOverlay(db: Db, from: Position): Promise<Batch> {
  const [found] = await query<{ rows: number; id: string; userId: string }>(db, {
    text: `with version as materialized (
        select v.predictor, v.id, case when v.id = $1 then $2 else '' end as start from tandem.model_versions v
        where not exists (select from tandem.arms a where a.predictor = v.predictor and a.model_version_id = v.id)
          and not exists (select from tandem.generations g where g.model_version_id = v.id and g.state <> 'dropped')
          and exists (select from tandem.overlay where predictor = v.predictor and model_version_id = v.id
            and user_id >= case when v.id = $1 then $2 else '' end)
        limit 1
      ), old as materialized (
        select o.ctid, o.user_id from version v cross join lateral (
          select ctid, user_id from tandem.overlay
          where predictor = v.predictor and model_version_id = v.id and user_id >= v.start order by user_id limit ${ROWS}) o
      ), gone as (
        delete from tandem.overlay where ctid = any (array(select ctid from old)) returning 1
      )
      select (select count(*) from gone) as rows, v.id, (select max(user_id) from old) as "userId" from version v`,
    values: [from?.[0] ?? null, from?.[1] ?? null],
  });
  if (!found) return { rows: 0, isDone: true, next: null };
  return { rows: found.rows, isDone: false, next: [found.id, found.userId] };
}

/**
 * Deletes one batch of read counts a round: ten million users are checked within a day. Remaining rows cost no read.
 */
async function expireReadDemand(db: Db, from: Position): Promise<Batch> {
  const { rows, seen, last } = await expireReadCounts(db, from?.[0] ?? '', ROWS);
  return { rows, isDone: true, next: seen < ROWS || last === null ? null : [last] };
}

/** Deletes finished runs, with the rest of their generations. A kept generation keeps its run. */
async function expireRuns(db: Db): Promise<number> {
  const old = await query<{ id: string }>(db, {
    text: `select id from (
        select id, row_number() over (partition by predictor order by created_at desc) as n from tandem.runs
        where state in ('done', 'done_with_errors', 'failed', 'cancelled')
      ) finished
      where n > $1 and not exists (select from tandem.generations g where g.run_id = finished.id and g.state <> 'dropped')
      limit $2`,
    values: [KEPT, RUNS],
  });
  if (old.length === 0) return 0;
  const ids = old.map((row) => row.id);
  await changeRows(db, statements.deleteFrom('tandem.generations').where('run_id', '=', anyOf(ids)));
  return changeRows(db, statements.deleteFrom('tandem.runs').where('id', '=', anyOf(ids)));
}

/** SQL of cancelled and failed runs that can no longer be resumed and have chunks that name users. */
const NAMING = `select r.id from tandem.runs r left join tandem.generations g on g.run_id = r.id
  where r.state in ('cancelled', 'failed')
    and case when g.id is null then r.finished_at < clock_timestamp() - interval '24 hours' else g.state = 'dropped' end
    and exists (select from tandem.chunks c where c.run_id = r.id and cardinality(c.user_ids) > 0)`;

/** Deletes the user names of runs that can no longer be resumed, since no erasure finds these names. */
async function expireNames(db: Db): Promise<number> {
  const ended = await query<{ id: string }>(db, { text: `${NAMING} limit $1`, values: [RUNS] });
  for (const { id } of ended) {
    // Locks are taken in the order of a resumption. If a resumption came first, the run keeps its names.
    await query(db, { text: 'select from tandem.chunks where run_id = $1 order by no for update', values: [id] });
    const [still] = await query<{ id: string }>(db, { text: `${NAMING} and r.id = $1`, values: [id] });
    if (!still) continue;
    const chunks = statements.updateTable('tandem.chunks').set({ user_ids: [] }).where('run_id', '=', id);
    await changeRows(db, chunks.where('user_ids', 'is not', null));
  }
  return ended.length;
}

const reached = (step: string) => `(select position ->> 0 from tandem.expiry_steps where step = '${step}')`;

/** Statements for the oldest remaining row of each table, found by an index. */
const OLDEST = [
  ...BY_AGE.map(({ table, horizon }) => ({
    ...{ table, horizon },
    oldest: `select accepted_at from tandem.${table}
      where accepted_at >= coalesce(${reached(table)}, '-infinity')::timestamptz order by accepted_at limit 1`,
  })),
  {
    ...{ table: 'exposures', horizon: OUTCOMES },
    oldest: `select min(ended_at) from tandem.rollouts
      where ended_at > coalesce(${reached('exposures')}, '-infinity')::timestamptz`,
  },
  { table: 'events', horizon: HORIZON, oldest: OLDEST_DAY_ENDED },
];

const OVERDUE = OLDEST.map(
  ({ table, horizon, oldest }) =>
    `select '${table}' as table, greatest(0, coalesce(extract(epoch from ${horizon} - (${oldest})), 0))::float8 as seconds`,
).join(' union all ');

/** Returns how long the oldest row of each table has been expired, in seconds; 0 if no row is expired. For metrics. */
export function findOverdue(db: Db) {
  return query<{ table: string; seconds: number }>(db, { text: OVERDUE });
}

/**
 * Deletes details of rollouts that ended long ago, when single users are no longer inspected; returns the number of
 * rows.
 */
export function expireShadowMovers(db: Db): Promise<number> {
  return countChanged(db, {
    text: `delete from tandem.shadow_movers m using tandem.rollouts r
      where r.id = m.rollout_id and r.ended_at < clock_timestamp() - interval '30 days'`,
  });
}
