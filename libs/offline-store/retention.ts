/** Removes what is past its time, a bounded number of rows a call: the caller comes again. */
import type pg from 'pg';
import { expireKeptExplanations } from './explanations/kept-explanations.ts';
import { expireShadowMovers } from './rollouts/shadow.ts';
import { execute, query, transaction } from './sql/database.ts';
import { lockAssignments } from './sql/settings.ts';
import { anyOf, changeRows, statements } from './sql/statements.ts';

const ROWS = 10_000;
/** Finished runs, and rollouts that are over, kept of each predictor. */
const RUNS = 200;
const ROLLOUTS = 200;
/** Removed by one call: the checks of each, thousands, go in one statement. */
const ROLLOUTS_A_CALL = 5;
/** Longer than an outcome may have been under way (outcomes.ts): a duplicate is known as one for as long as it is taken. */
const OUTCOMES = `interval '180 days'`;
/** An event may be up to five minutes ahead of its acceptance: its id is remembered somewhat longer than it may be sent. */
const HORIZON = `clock_timestamp() - (select event_horizon from tandem.settings) - interval '1 hour'`;

/** How many rows went. */
export async function expire(pool: pg.Pool): Promise<number> {
  let gone = 0;
  for (const table of ['event_ids', 'events']) {
    const { rowCount } = await execute(pool, {
      text: `delete from tandem.${table} where ctid = any (array(
        select ctid from tandem.${table} where accepted_at < ${HORIZON} limit ${ROWS}))`,
    });
    gone += rowCount ?? 0;
  }
  gone += await expireShadowMovers(pool);
  gone += await expireKeptExplanations(pool, ROWS);
  gone += await expireRollouts(pool);
  return gone + (await expireOutcomes(pool)) + (await expireOverlay(pool)) + (await expireRuns(pool));
}

/** Of outcomes by their acceptance; of exposures with their rollout, since one that is under way needs them all. */
async function expireOutcomes(pool: pg.Pool): Promise<number> {
  const outcomes = await execute(pool, {
    text: `delete from tandem.outcomes where ctid = any (array(
      select ctid from tandem.outcomes where accepted_at < clock_timestamp() - ${OUTCOMES} limit ${ROWS}))`,
  });
  const exposures = await execute(pool, {
    text: `delete from tandem.exposures where ctid = any (array(
      select e.ctid from tandem.rollouts r
      cross join lateral (select ctid from tandem.exposures where rollout_id = r.id limit ${ROWS}) e
      where r.ended_at < clock_timestamp() - ${OUTCOMES} limit ${ROWS}))`,
  });
  return (outcomes.rowCount ?? 0) + (exposures.rowCount ?? 0);
}

/**
 * With a rollout go its checks and counts. It waits for its exposures, of which there may be millions, and whose time is
 * their own. The audit keeps what was decided.
 */
async function expireRollouts(pool: pg.Pool): Promise<number> {
  const old = await query<{ id: string }>(pool, {
    text: `select id from (
        select id, row_number() over (partition by predictor order by number desc) as n from tandem.rollouts
        where ended_at is not null
      ) over_by_now
      where n > $1 and not exists (select from tandem.exposures e where e.rollout_id = over_by_now.id)
      limit $2`,
    values: [ROLLOUTS, ROLLOUTS_A_CALL],
  });
  // A statement that takes nobody would raise the revision all the same, and every process would ask for all arms again.
  if (old.length === 0) return 0;
  const ids = old.map(({ id }) => id);
  // Before the lock: a rollout that was judged each minute for a month has 40,000.
  await changeRows(pool, statements.deleteFrom('tandem.rollout_checks').where('rollout_id', '=', anyOf(ids)));
  await changeRows(pool, statements.deleteFrom('tandem.arm_counts').where('rollout_id', '=', anyOf(ids)));
  return transaction(pool, async (db) => {
    await lockAssignments(db);
    return changeRows(db, statements.deleteFrom('tandem.rollouts').where('id', '=', anyOf(ids)));
  });
}

/**
 * Entries of model versions that no arm names and no kept generation is of. Should such a version be adopted again, its
 * users are inferred anew. The primary key finds them, version by version, without a look at the others.
 */
async function expireOverlay(pool: pg.Pool): Promise<number> {
  const { rowCount } = await execute(pool, {
    text: `delete from tandem.overlay where ctid = any (array(
      select o.ctid from tandem.model_versions v
      cross join lateral (
        select ctid from tandem.overlay where predictor = v.predictor and model_version_id = v.id limit ${ROWS}) o
      where not exists (select from tandem.arms a where a.predictor = v.predictor and a.model_version_id = v.id)
        and not exists (select from tandem.generations g where g.model_version_id = v.id and g.state <> 'dropped')
      limit ${ROWS}))`,
  });
  return rowCount ?? 0;
}

/** With a run goes what is left of its generation; one that is kept keeps its run. */
async function expireRuns(pool: pg.Pool): Promise<number> {
  return transaction(pool, async (db) => {
    const old = await query<{ id: string }>(db, {
      text: `select id from (
          select id, row_number() over (partition by predictor order by created_at desc) as n from tandem.runs
          where state in ('done', 'done_with_errors', 'failed', 'cancelled')
        ) finished
        where n > $1 and not exists (select from tandem.generations g where g.run_id = finished.id and g.state <> 'dropped')
        limit $2`,
      values: [RUNS, RUNS],
    });
    if (old.length === 0) return 0;
    const ids = old.map((row) => row.id);
    await changeRows(db, statements.deleteFrom('tandem.generations').where('run_id', '=', anyOf(ids)));
    return changeRows(db, statements.deleteFrom('tandem.runs').where('id', '=', anyOf(ids)));
  });
}
