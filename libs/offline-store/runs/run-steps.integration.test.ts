import { planRun } from '@tandem/prediction/runs/plan-run';
import { publishRun } from '@tandem/prediction/runs/publish-run';
import type { ClaimedStep, Run, RunStep } from '@tandem/prediction/runs/runs';
import { NOTHING_LOST, planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { query } from '../sql/database.ts';
import { VISITS_SQL, visitsPredictor } from '../store.fixture.ts';
import { createRunsWorld } from './runs.fixture.ts';

const {
  database,
  store,
  renew,
  ask,
  start,
  work,
  claim: claimChunk,
} = await createRunsWorld({ users: 150, maxClaims: 3 });
const { pool } = database;
beforeEach(renew);
afterAll(() => database.drop());

const lease = { leaseMs: 60_000, renewMs: 20_000 };
const hints = { plan: async () => {}, chunks: async () => {}, publish: async () => {}, load: async () => {} };
const never = new AbortController().signal;
/** A cancellation that waits for a lock takes longer: Postgres ends a wait for a lock after 10 s. */
const AT_ONCE_MS = 9_000;

async function claim(runId: string, step: RunStep): Promise<ClaimedStep> {
  const claimed = await store.claimStep(runId, step, 60_000);
  if (!claimed || 'failed' in claimed) throw new Error(`the ${step} of ${runId} could not be claimed`);
  return claimed;
}

/** Expires the lease, as after the death of the worker. */
const endLease = () => query(pool, { text: `update tandem.runs set step_lease_until = clock_timestamp()` });

/**
 * Puts off the time at which a waiting step is free, if that is at least a second after `before`. Returns the number of
 * such steps.
 */
async function putOff(interval: string, before = new Date(0)) {
  const text = `update tandem.runs set step_lease_until = step_lease_until + $1::interval
    where step_lease_until >= $2::timestamptz + interval '1 s'`;
  return (await pool.query(text, [interval, before])).rowCount;
}

/** Commits all chunks of a run. */
async function scored(run: Run): Promise<Run> {
  for (const { no } of await store.claimable(run.id, 10)) await work(run, no);
  return run;
}

/** Makes the feature query wait this many seconds before its first row. */
const slowBy = (seconds: number, changes: { planTimeoutMs?: number } = {}) => waitFor(`pg_sleep(${seconds})`, changes);

/** Makes the feature query wait for this function before its first row. */
async function waitFor(call: string, changes: { planTimeoutMs?: number } = {}) {
  const predictor = visitsPredictor();
  await adopt(pool, {
    actor: 'test',
    predictors: [
      {
        ...predictor,
        policy: { ...predictor.policy, batch: { ...predictor.policy.batch, ...changes } },
        definition: {
          ...predictor.definition,
          query: {
            ...predictor.definition.query,
            sql: `${VISITS_SQL}, ${call} where recency is not null`,
          },
        },
      },
    ],
  });
}

/** Returns the number of statements that wait in the slow feature query. */
const sleeping = async () =>
  (
    await query(pool, {
      text: `select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    })
  ).length;

const waitingForLocks = async () =>
  (
    await query(pool, {
      text: `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    })
  ).length;

describe.each(['plan', 'publish'] as const)('the step %s', (step) => {
  const ready = async () => (step === 'plan' ? ask({ kind: 'all' }) : scored(await start()));
  const work = (claimed: ClaimedStep) =>
    step === 'plan' ? store.plan(claimed, never) : store.publish(claimed, never, NOTHING_LOST.prove);
  const isDone = step === 'plan' ? 'running' : 'done';

  test('is claimed by one of many workers, and again when the lease of a dead worker is over', async () => {
    const { id } = await ready();
    const claims = await Promise.all(Array.from({ length: 8 }, () => store.claimStep(id, step, 60_000)));
    expect(claims.filter((one) => one !== null)).toMatchObject([{ attempts: 1, takenOver: false }]);
    expect(await store.unfinished()).toMatchObject([{ id, isStepFree: false }]);
    await endLease();
    expect(await store.unfinished()).toMatchObject([{ id, isStepFree: true }]);
    expect(await store.claimStep(id, step, 60_000)).toMatchObject({ attempts: 2, takenOver: true });
  });

  test('is written once, only by its last claimant', async () => {
    const { id } = await ready();
    const zombie = await claim(id, step);
    await endLease();
    const claimed = await claim(id, step);
    expect(await store.renewStep(zombie, 60_000)).toBe(false);
    expect(await store.giveBackStep(zombie, 'late', 1)).toBe('fence_lost');
    expect(await work(zombie)).toBeNull();
    expect(await store.renewStep(claimed, 60_000)).toBe(true);
    expect(await work(claimed)).not.toBeNull();
    expect(await work(claimed)).toBeNull();
    expect(await store.find(id)).toMatchObject({ state: isDone });
    expect(await createGenerationStore(pool).list('visits')).toHaveLength(1);
  });

  test('writes nothing after the run is cancelled, and is done after a resume', async () => {
    const { id } = await ready();
    const claimed = await claim(id, step);
    expect(await store.cancel(id)).toMatchObject({ state: 'cancelled' });
    expect(await store.renewStep(claimed, 60_000)).toBe(false);
    expect(await work(claimed)).toBeNull();
    expect(await store.find(id)).toMatchObject({ state: 'cancelled' });
    expect((await createGenerationStore(pool).list('visits')).filter((one) => one.inForce)).toEqual([]);
    await store.resume(id);
    expect(await work(await claim(id, step))).not.toBeNull();
    expect(await store.find(id)).toMatchObject({ state: isDone });
  });

  test('is retried some time after its return, and fails its run after the last attempt', async () => {
    const { id } = await ready();
    const claimed = await claim(id, step);
    const { rows } = await pool.query('select clock_timestamp() as before');
    expect(await store.giveBackStep(claimed, 'no answer', 2)).toBe('waiting');
    // It is free 1 s after its return. The test puts that off while it looks at the step.
    expect(await putOff('5 min', rows[0].before)).toBe(1);
    expect(await store.claimStep(id, step, 60_000)).toBeNull();
    expect(await store.unfinished()).toMatchObject([{ attempts: 1, attemptError: 'no answer', isStepFree: false }]);
    expect(await putOff('-5 min')).toBe(1);
    await expect.poll(() => store.unfinished()).toMatchObject([{ isStepFree: true }]);
    expect(await store.giveBackStep(await claim(id, step), 'no answer', 2)).toBe('failed');
    const name = step === 'plan' ? 'planned' : 'published';
    expect(await store.find(id)).toMatchObject({
      state: 'failed',
      attempts: 2,
      error: `cannot be ${name} after 2 attempts: no answer`,
    });
    await store.resume(id);
    expect(await store.find(id)).toMatchObject({ attempts: 0, attemptError: null });
  });

  test('that kills its workers fails its run, with the reason', async () => {
    const { id } = await ready();
    for (let i = 0; i < 3; i++) {
      await claim(id, step);
      await endLease();
    }
    const error = `cannot be ${step === 'plan' ? 'planned' : 'published'}: its worker died 3 times in a row`;
    const dead = { predictor: 'visits', attempts: 3, takenOver: true };
    expect(await store.claimStep(id, step, 60_000)).toMatchObject({ ...dead, failed: error });
    expect(await store.find(id)).toMatchObject({ state: 'failed', error });
    expect(await store.claimStep(id, step, 60_000)).toBeNull();
  });

  test('is not written if it was read in an earlier history', async () => {
    const { id } = await ready();
    const claimed = await claim(id, step);
    await query(pool, { text: 'update tandem.history_rotation set rotation = gen_random_uuid()' });
    expect(await work(claimed)).toBeNull();
    expect((await createGenerationStore(pool).list('visits')).filter((one) => one.inForce)).toEqual([]);
  });
});

test('a plan that finds another history releases the step, which can be claimed immediately', async () => {
  await waitFor('pg_advisory_xact_lock_shared(1)');
  const { id } = await ask({ kind: 'all' });
  const blocker = await pool.connect();
  await blocker.query('begin; select pg_advisory_xact_lock(1)');
  const planned = planRun({ runs: store, hints, lease }, id);
  await expect.poll(waitingForLocks).toBe(1);
  await query(pool, { text: 'update tandem.history_rotation set rotation = gen_random_uuid()' });
  await blocker.query('commit');
  blocker.release();
  expect(await planned).toMatchObject({ outcome: 'abandoned' });
  expect(await store.find(id)).toMatchObject({ state: 'planned', attempts: 0, attemptError: null });
  expect(await store.claimStep(id, 'plan', 60_000)).toMatchObject({ attempts: 1, takenOver: false });
});

test('a publication that finds an open chunk releases the step', async () => {
  const { id } = await scored(await start());
  await query(pool, { text: `update tandem.runs set state = 'publishing' where id = $1`, values: [id] });
  await query(pool, { text: `update tandem.chunks set state = 'waiting' where run_id = $1`, values: [id] });
  const loader = { completeLoad: async () => false };
  expect(await publishRun({ runs: store, hints, lease, loader, losses: NOTHING_LOST }, id)).toMatchObject({
    outcome: 'abandoned',
  });
  expect(await store.unfinished('visits')).toMatchObject([{ id, isStepFree: true, attempts: 0 }]);
});

test('unfinished runs are listed for all predictors or for one', async () => {
  const { id } = await ask({ kind: 'all' });
  expect((await store.unfinished()).map((run) => run.id)).toEqual([id]);
  expect((await store.unfinished('visits')).map((run) => run.id)).toEqual([id]);
  expect(await store.unfinished('others')).toEqual([]);
});

describe('the runs of one predictor', () => {
  test('are planned one at a time, except runs of named users, which read no feature query', async () => {
    const first = await ask({ kind: 'all' });
    const stale = await ask({ kind: 'stale' });
    const named = await ask({ kind: 'users', userIds: ['1'] });
    const claimed = await claim(first.id, 'plan');
    expect(await store.claimStep(stale.id, 'plan', 60_000)).toBeNull();
    const free = (await store.unfinished()).map(({ id, isStepFree }) => [id, isStepFree]);
    expect(new Map(free as [string, boolean][])).toEqual(
      new Map([
        [first.id, false],
        [stale.id, false],
        [named.id, true],
      ]),
    );
    expect(await planNow(store, named.id)).toMatchObject({ state: 'running', usersExpected: 1 });
    await store.plan(claimed, never);
    expect(await store.claimStep(stale.id, 'plan', 60_000)).not.toBeNull();
  });

  test('do not wait for other predictors', async () => {
    const second = visitsPredictor({ name: 'others' });
    await adopt(pool, { actor: 'test', predictors: [visitsPredictor(), second] });
    await claim((await ask({ kind: 'all' })).id, 'plan');
    const request = { predictor: 'others', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null } as const;
    const { run } = await store.create(request);
    expect(await planNow(store, run.id)).toMatchObject({ state: 'running' });
  });
});

describe('a feature query that does not end', () => {
  test('fails its run at the time limit with a remedy, and leaves nothing behind', async () => {
    await slowBy(600, { planTimeoutMs: 5_000 });
    const { id } = await ask({ kind: 'all' });
    const planned = planRun({ runs: store, hints, lease }, id);
    await expect.poll(sleeping).toBe(1);
    const report = await planned;
    expect(report).toMatchObject({ outcome: 'failed', attempts: 1 });
    expect(await store.find(id)).toMatchObject({
      state: 'failed',
      error:
        'cannot be planned: the feature query did not list its users within batch.planTimeout (5 s), at predictors.visits.features.sql; ' +
        `make the query faster, or raise predictors.visits.batch.planTimeout, then run \`tandem run resume ${id}\``,
    });
    await expect.poll(sleeping).toBe(0);
    await expect(ask({ kind: 'all' })).resolves.toMatchObject({ state: 'planned' });
  });

  test('holds no lock: its run is cancelled immediately, and Postgres stops before the next renewal', async () => {
    await slowBy(600);
    const { id } = await ask({ kind: 'all' });
    const planned = planRun({ runs: store, hints, lease }, id);
    await expect.poll(sleeping).toBe(1);
    const asked = performance.now();
    expect(await store.cancel(id)).toMatchObject({ state: 'cancelled' });
    expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS);
    expect(await planned).toMatchObject({ outcome: 'abandoned' });
    await expect.poll(sleeping).toBe(0);
    expect(performance.now() - asked).toBeLessThan(lease.renewMs);
  });
});

test('a comparison that does not end holds no lock: its run is cancelled immediately, and Postgres stops', async () => {
  await publishNow(store, (await scored(await start())).id);
  const { id, generationId } = await scored(await start());
  const blocker = await pool.connect();
  await blocker.query(
    `begin; lock table tandem.generation_${generationId?.replaceAll('-', '')} in access exclusive mode`,
  );
  const published = publishRun(
    { runs: store, hints, lease, loader: { completeLoad: async () => false }, losses: NOTHING_LOST },
    id,
  );
  await expect.poll(waitingForLocks).toBe(1);
  const asked = performance.now();
  expect(await store.cancel(id)).toMatchObject({ state: 'cancelled' });
  expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS);
  expect(await published).toMatchObject({ outcome: 'abandoned' });
  await expect.poll(waitingForLocks).toBe(0);
  await blocker.query('rollback');
  blocker.release();
  expect(await store.resume(id)).toMatchObject({ state: 'running' });
  expect(await publishNow(store, id)).toMatchObject({ state: 'done', generation: { inForce: true } });
});

test('a chunk whose commit waits does not delay the cancellation of its run, and commits nothing', async () => {
  const run = await start();
  const blocker = await pool.connect();
  await blocker.query(`begin; lock table tandem.generation_${run.generationId?.replaceAll('-', '')} in exclusive mode`);
  const committed = work(run, 0);
  await expect.poll(waitingForLocks).toBe(1);
  const asked = performance.now();
  expect(await store.cancel(run.id)).toMatchObject({ state: 'cancelled' });
  expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS);
  await blocker.query('rollback');
  blocker.release();
  expect(await committed).toEqual({ committed: false, why: 'run_ended' });
  expect(await store.find(run.id)).toMatchObject({ state: 'cancelled', usersScored: 0 });
});

test('a current step is released immediately when its worker must end, and the attempt does not count', async () => {
  await slowBy(600);
  const { id } = await ask({ kind: 'all' });
  const stopping = new AbortController();
  const planned = planRun({ runs: store, hints, lease, stopping: stopping.signal }, id);
  await expect.poll(sleeping).toBe(1);
  stopping.abort(new Error('the worker was stopped'));
  expect(await planned).toMatchObject({ outcome: 'stopped' });
  await expect.poll(sleeping).toBe(0);
  expect(await store.find(id)).toMatchObject({ state: 'planned', attempts: 0, attemptError: null });
  expect(await store.claimStep(id, 'plan', 60_000)).toMatchObject({ attempts: 1, takenOver: false });
});

test('a claim that an earlier release left on an ended run does not block the predictor’s next run', async () => {
  const first = await scored(await start());
  const left = await claim(first.id, 'publish');
  await query(pool, { text: `update tandem.runs set state = 'done', finished_at = clock_timestamp()` });
  expect(await store.renewStep(left, 60_000)).toBe(false);
  expect(await store.publish(left, never, NOTHING_LOST.prove)).toBeNull();
  const second = await scored(await start());
  expect(await store.unfinished()).toMatchObject([{ id: second.id, isStepFree: true }]);
  expect(await publishNow(store, second.id)).toMatchObject({ state: 'done' });
});

test('a stale run that was cancelled during its plan is planned again, with each user once', async () => {
  await publishNow(store, (await scored(await start())).id);
  const event = (userId: string) => ({ source: 't', id: userId, type: 'x', userId, time: null, data: null });
  await createEventStore(pool).accept(['3', '5', '7'].map(event));
  const { id } = await ask({ kind: 'stale' });
  await claim(id, 'plan');
  // The chunks that a plan had written when its worker died.
  await query(pool, {
    text: `insert into tandem.chunks (run_id, no, user_ids) values ($1, 0, array['3', '9']), ($1, 1, array['5'])`,
    values: [id],
  });
  await store.cancel(id);
  await store.resume(id);
  expect(await planNow(store, id)).toMatchObject({ scope: 'stale', usersExpected: 3, chunkCount: 1 });
  const claimed = await claimChunk(id, 0);
  expect(claimed.part).toEqual({ userIds: ['3', '5', '7'] });
});
