import type { Policy, PublishPolicy } from '@tandem/freshness/predictor';
import { PUBLISH_DEFAULTS } from '@tandem/freshness/predictor';
import type { Run } from '@tandem/prediction/runs/runs';
import { NOTHING_LOST, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createReportStore } from '../runs/run-store.ts';
import { createRunsWorld } from '../runs/runs.fixture.ts';
import { type Db, query } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { createGenerationStore } from './generations.ts';

const { database, store, renew, start, workAll, work } = await createRunsWorld({ users: 400 });
const { pool } = database;
const reports = createReportStore(pool, NOTHING_LOST.prove);
const generations = createGenerationStore(pool);
beforeEach(renew);
afterAll(() => database.drop());

const declare = (policy: Partial<Pick<Policy, 'decision' | 'segments'>> & { publish?: Partial<PublishPolicy> }) => {
  const predictor = visitsPredictor();
  const publish = { ...PUBLISH_DEFAULTS, ...policy.publish };
  const changed = { ...predictor, policy: { ...predictor.policy, ...policy, publish } };
  return adopt(pool, { predictors: [changed], actor: 'test' });
};

const scored = async (run: Run) => {
  for (const { no } of await store.claimable(run.id, 1_000)) await work(run, no);
  return run;
};
const publishOne = async () => workAll(await start());

/** Adds to the stored score of some users of an unpublished generation. Scores equal the users' ids. */
const shift = (run: Run, by: number, where = 'true') =>
  query(pool, {
    // Postgres writes big-endian floats, but outputs are little-endian.
    text: `update ${partitionOf(run.generationId ?? '')} p
      set outputs = substr(big, 4, 1) || substr(big, 3, 1) || substr(big, 2, 1) || substr(big, 1, 1)
      from (select user_id as shifted, float4send((user_id::int + ${by})::float4) as big
        from ${partitionOf(run.generationId ?? '')}) one
      where user_id = shifted and (${where})`,
  });

const inForce = async () => (await generations.list('visits')).find((one) => one.inForce)?.number;
const auditOf = (action: string) =>
  query<{ actor: string; detail: Record<string, unknown> }>(pool, {
    text: 'select actor, detail from tandem.audit where action = $1',
    values: [action],
  });

describe('the report of a generation', () => {
  test('of a first generation has no comparison, and the generation is published', async () => {
    expect(await publishOne()).toMatchObject({ state: 'done', report: { verdict: 'not_compared' } });
    expect(await reports.find('visits', null)).toMatchObject({
      generation: 1,
      against: null,
      verdict: 'not_compared',
      figures: null,
      notes: ['no generation is current'],
    });
  });

  test('of an equal generation has no differences', async () => {
    await publishOne();
    await declare({ decision: { output: 'score', threshold: 200.5 } });
    const outcome = await publishOne();
    expect(outcome).toMatchObject({ state: 'done', report: { verdict: 'passed' }, generation: { number: 2 } });
    const report = await reports.find('visits', 2);
    expect(report).toMatchObject({ against: 1, verdict: 'passed', movers: [], crossings: [], notes: [] });
    expect(report.figures).toMatchObject({
      users: { before: 400, now: 400, both: 400, added: 0, gone: 0 },
      outputs: [{ name: 'score', psi: 0, meanDelta: 0, largestDelta: 0, changed: 0 }],
      decision: { up: 0, down: 0, rate: 0 },
      segments: [],
    });
    expect(await publishNow(store, outcome?.generation?.runId ?? '')).toBeNull();
  });

  test('shows a planted shift, the users with the largest changes, and segments by the feature query', async () => {
    await publishOne();
    await declare({ decision: { output: 'score', threshold: 200.5 }, segments: ['city', 'member'] });
    await query(pool, { text: 'delete from visits where user_id > 390' });
    const run = await scored(await start());
    await shift(run, 300, 'user_id::int <= 40');
    expect(await publishNow(store, run.id)).toMatchObject({ state: 'done' });
    const { figures, movers } = await reports.find('visits', 2);
    expect(figures?.users).toEqual({ before: 400, now: 390, both: 390, added: 0, gone: 10 });
    expect(figures?.outputs[0]).toMatchObject({ p50AbsoluteDelta: 0, p99AbsoluteDelta: 300, largestDelta: 300 });
    expect(figures?.outputs[0]?.meanDelta).toBeCloseTo((40 * 300) / 390, 4);
    expect(figures?.decision).toEqual({
      output: 'score',
      threshold: 200.5,
      up: 40,
      down: 0,
      rate: expect.closeTo(40 / 390, 5),
      rateLower: expect.closeTo(0.0686, 4),
    });
    // Two of twenty classes are now empty. The changed users are in the classes from 301 to 340. The last class has
    // lost half.
    const share = (count: number, all: number) => (count + 0.5) / (all + 10);
    const moved = (was: number, is: number) =>
      (share(is, 390) - share(was, 400)) * Math.log(share(is, 390) / share(was, 400));
    const expected = 2 * moved(20, 0) + 2 * moved(20, 40) + moved(20, 10) + 15 * moved(20, 20);
    // The tenth of users who changed their classes by chance would add 0.01.
    expect(figures?.outputs[0]?.psi).toBeLessThan(expected - 0.005);
    expect(figures?.outputs[0]?.psi).toBeGreaterThan(expected - 0.03);
    expect(figures?.outputs[0]?.psiLower).toBeGreaterThan(0.2);
    expect(movers).toHaveLength(20);
    expect(movers.every(({ userId, delta }) => Number(userId) <= 40 && delta === 300)).toBe(true);
    const [city, member] = figures?.segments ?? [];
    expect(city?.values).toHaveLength(8);
    expect(member?.values.map(({ value, users }) => [value, users.both])).toEqual([
      ['false', 195],
      ['true', 195],
      [null, 0],
    ]);
    expect(member?.values[1]).toMatchObject({ flips: { up: 20, down: 0 }, shift: { largestDelta: 300 } });
  });

  test('has no segments if the feature query fails; the generation is published', async () => {
    await publishOne();
    await declare({ segments: ['city'], publish: { maxPsi: 0.1 } });
    const run = await scored(await start());
    await query(pool, { text: 'alter table visits rename column city to town' });
    expect(await publishNow(store, run.id)).toMatchObject({ state: 'done', generation: { number: 2 } });
    expect(await reports.find('visits', 2)).toMatchObject({
      verdict: 'passed',
      figures: { users: { both: 400 }, segments: [] },
      notes: [expect.stringMatching(/^segments: the feature query failed \(column "?.*city/)],
    });
    await query(pool, { text: 'alter table visits rename column town to city' });
  });

  /** Publishes a run while its comparison cannot end in time. */
  async function publishLate(publish: Partial<PublishPolicy>) {
    await publishOne();
    const late = await scored(await start());
    await shift(late, 5_000);
    await declare({ publish: { ...publish, reportTimeoutMs: 200 } });
    const served = (await generations.list('visits')).find((one) => one.inForce);
    const blocker = await pool.connect();
    try {
      await blocker.query(`begin; lock table ${partitionOf(served?.id ?? '')} in access exclusive mode`);
      return { run: late, outcome: await publishNow(store, late.id) };
    } finally {
      await blocker.query('rollback');
      blocker.release();
    }
  }
  const late = 'too slow: the comparison took longer than publish.reportTimeout (200 ms)';

  test('a comparison that is too slow does not prevent the publication if there is no threshold', async () => {
    const { outcome } = await publishLate({});
    expect(outcome).toMatchObject({ state: 'done', generation: { number: 2, inForce: true } });
    const outOfTime = 'published';
    expect(await reports.find('visits', 2)).toMatchObject({ verdict: 'not_compared', notes: [late], outOfTime });
  });

  test('a comparison that is too slow holds the generation back if there is a threshold', async () => {
    const { run, outcome } = await publishLate({ maxPsi: 0.1 });
    expect(outcome).toMatchObject({ state: 'failed', generation: null });
    expect(outcome?.note).toBe(
      `held back: ${late}; see \`tandem generation report visits 2\`; publish it with \`tandem generation approve visits 2\` within 24 h, or compare it again with \`tandem run resume ${run.id}\``,
    );
    expect(await inForce()).toBe(1);
    const kept = { verdict: 'blocked', notes: [late], crossings: [], outOfTime: 'held' };
    expect(await reports.find('visits', 2)).toMatchObject(kept);
    expect(await reports.approve({ predictor: 'visits', generation: 2, actor: 't' })).toMatchObject({ inForce: true });
  });

  test('a predictor with onTimeout: publish publishes without a comparison, and the report gives the reason', async () => {
    const { outcome } = await publishLate({ minCoverage: 0.9, onTimeout: 'publish' });
    expect(outcome).toMatchObject({ state: 'done', generation: { number: 2, inForce: true } });
    const { verdict, notes } = await reports.find('visits', 2);
    expect([verdict, notes]).toEqual([
      'not_compared',
      [late, 'published without judging the thresholds: publish.onTimeout is publish'],
    ]);
  });

  /** Publishes a run. The served generation cannot be read until the comparison of all users has ended. */
  async function publishSampled(shifted: string) {
    await publishOne();
    const next = await scored(await start());
    await shift(next, 300, shifted);
    const publish = { maxFlipRate: 0.05, minUsers: 5, reportTimeoutMs: 8_000 };
    await declare({ decision: { output: 'score', threshold: 200.5 }, publish });
    const served = (await generations.list('visits')).find((one) => one.inForce);
    const blocker = await pool.connect();
    const waiting = async () =>
      (
        await query<{ pid: number }>(pool, {
          text: `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        })
      ).map(({ pid }) => pid);
    try {
      await blocker.query(`begin; lock table ${partitionOf(served?.id ?? '')} in access exclusive mode`);
      const publishing = publishNow(store, next.id);
      await expect.poll(waiting).toHaveLength(1);
      const [first] = await waiting();
      await expect.poll(async () => (await waiting()).some((pid) => pid !== first)).toBe(true);
      await blocker.query('rollback');
      return await publishing;
    } finally {
      await blocker.query('rollback');
      blocker.release();
    }
  }

  test('a comparison that is too slow is repeated on a sample, which is then judged', async () => {
    expect(await publishSampled('false')).toMatchObject({ state: 'done', generation: { number: 2, inForce: true } });
    const { verdict, notes, sample, outOfTime, figures } = await reports.find('visits', 2);
    expect([verdict, outOfTime, sample?.oneIn]).toEqual(['passed', 'sampled', 10]);
    expect(notes).toEqual([late.replace('200', '8000'), 'only one in 10 users was compared instead of all users']);
    expect(sample?.users).toBe(figures?.users.both);
    expect(sample?.users).toBeGreaterThan(10);
    expect(sample?.users).toBeLessThan(100);
  });

  test('a sample that exceeds a threshold holds the generation back', async () => {
    expect(await publishSampled('true')).toMatchObject({ state: 'failed', report: { outOfTime: 'sampled' } });
    expect(await reports.find('visits', 2)).toMatchObject({
      verdict: 'blocked',
      crossings: [{ setting: 'maxFlipRate' }],
    });
  });

  test('a comparison that fails holds the generation back if there is a threshold', async () => {
    await publishOne();
    await declare({ publish: { maxPsi: 0.1 } });
    const run = await scored(await start());
    const served = (await generations.list('visits')).find((one) => one.inForce);
    await query(pool, { text: `alter table tandem.predictions detach partition ${partitionOf(served?.id ?? '')}` });
    await query(pool, { text: `drop table ${partitionOf(served?.id ?? '')}` });
    const outcome = await publishNow(store, run.id);
    expect(outcome).toMatchObject({ state: 'failed', generation: null, report: { verdict: 'blocked' } });
    expect(outcome?.note).toMatch(/^held back: the comparison failed: relation .* does not exist/);
  });
});

describe('thresholds', () => {
  const held = async () => {
    await publishOne();
    await declare({ decision: { output: 'score', threshold: 200.5 }, publish: { maxFlipRate: 0.05 } });
    const run = await scored(await start());
    await shift(run, 300, 'user_id::int <= 40');
    return { run, outcome: await publishNow(store, run.id) };
  };

  test('hold back a generation that exceeds them: the run fails, and the current generation stays', async () => {
    const { run, outcome } = await held();
    expect(outcome).toMatchObject({ state: 'failed', generation: null, report: { verdict: 'blocked' } });
    expect(outcome?.note).toBe(
      `held back: flip rate 0.1 of score is above 0.05; see \`tandem generation report visits 2\`; publish it with \`tandem generation approve visits 2\` within 24 h, or compare it again with \`tandem run resume ${run.id}\``,
    );
    expect(await inForce()).toBe(1);
    expect(await store.find(run.id)).toMatchObject({ state: 'failed', error: outcome?.note });
    expect(await reports.find('visits', null)).toMatchObject({ generation: 2, verdict: 'blocked', against: 1 });
    expect(await publishNow(store, run.id)).toBeNull();
    expect(await store.unfinished()).toEqual([]);
    expect(await auditOf('hold_back')).toHaveLength(1);
    expect(await generations.dropRetired()).toEqual([]);
    // The next run is compared with the current generation.
    expect(await publishOne()).toMatchObject({ state: 'done', generation: { number: 3, inForce: true } });
  });

  test('approval publishes a held-back generation and records the actor; repeating it has no effect', async () => {
    const { run } = await held();
    const approval = { predictor: 'visits', generation: 2, actor: 'key:ops' };
    const approved = await Promise.all([reports.approve(approval), reports.approve(approval)]);
    expect(approved.map(({ number, inForce, users }) => [number, inForce, users])).toEqual([
      [2, true, 400],
      [2, true, 400],
    ]);
    expect(await store.find(run.id)).toMatchObject({ state: 'done', error: null });
    expect(await auditOf('approve')).toMatchObject([{ actor: 'key:ops', detail: { generation: 2 } }]);
    expect(await reports.find('visits', 2)).toMatchObject({ verdict: 'blocked', against: 1 });
  });

  test('a resumed run is compared again, with the current thresholds', async () => {
    const { run } = await held();
    await store.resume(run.id);
    expect(await publishNow(store, run.id)).toMatchObject({ state: 'failed', report: { verdict: 'blocked' } });
    await declare({ publish: { maxFlipRate: null } });
    await store.resume(run.id);
    await expect(reports.approve({ predictor: 'visits', generation: 2, actor: 't' })).rejects.toMatchObject({
      code: 'run_conflict',
      message: expect.stringContaining('its run is running'),
    });
    expect(await publishNow(store, run.id)).toMatchObject({ state: 'done', generation: { number: 2, inForce: true } });
  });

  test('approval waits until a restore of Postgres can be ruled out', async () => {
    await held();
    const approval = { predictor: 'visits', generation: 2, actor: 't' };
    const doubtful = createReportStore(pool, async () => false);
    await expect(doubtful.approve(approval)).rejects.toMatchObject({ code: 'unavailable', retryAfter: 1 });
    expect(await inForce()).toBe(1);
    expect(await reports.approve(approval)).toMatchObject({ inForce: true });
  });

  test('approval is rejected if the generation was not held back, or if it comes too late', async () => {
    await held();
    const approve = (generation: number) => reports.approve({ predictor: 'visits', generation, actor: 't' });
    await expect(approve(7)).rejects.toMatchObject({ code: 'unknown_generation' });
    await expect(reports.approve({ predictor: 'none', generation: 1, actor: 't' })).rejects.toMatchObject({
      code: 'unknown_predictor',
    });
    await publishOne();
    await expect(approve(1)).rejects.toMatchObject({
      code: 'run_conflict',
      message: expect.stringContaining('it is published'),
    });
    await expect(approve(2)).rejects.toMatchObject({
      code: 'run_conflict',
      message: 'Generation 2 of visits cannot be published: the newer generation 3 is current.',
    });
    expect(await inForce()).toBe(3);
  });

  test('an erased user is in no report, and in no approved generation', async () => {
    const erasures = createErasureStore(pool);
    const erase = async (userId: string) =>
      erasures.deleteRows([(await erasures.setTombstone(userId)).tombstone.number]);
    await publishOne();
    await declare({ publish: { maxMeanDelta: 1 } });
    const run = await scored(await start());
    await shift(run, 300, 'user_id::int <= 10');
    // Users are erased while the generation waits for publication, and while it is held back.
    await erase('3');
    await publishNow(store, run.id);
    const movers = async () => (await reports.find('visits', 2)).movers.map(({ userId }) => Number(userId));
    expect((await movers()).sort((a, b) => a - b)).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10]);
    await erase('5');
    expect(await movers()).not.toContain(5);
    const { users } = await reports.approve({ predictor: 'visits', generation: 2, actor: 't' });
    const [row] = await query<{ n: number }>(pool, {
      text: `select count(*) as n from ${partitionOf(run.generationId ?? '')}`,
    });
    expect([users, row?.n]).toEqual([398, 398]);
  });
});

/** Publishes a run up to the comparison. The publication itself waits until `act` has ended. */
async function betweenComparisonAndPublication(run: Run, act: (blocker: Db) => Promise<unknown>) {
  const blocker = await pool.connect();
  await blocker.query('begin');
  await blocker.query('select from tandem.settings for update');
  const published = publishNow(store, run.id).catch(() => 'killed');
  const isWaiting = async () => (await query(pool, { text: `select ${WAITING}` })).length === 1;
  await expect.poll(isWaiting, { timeout: 20_000 }).toBe(true);
  await act(blocker);
  await blocker.query('commit');
  blocker.release();
  return published;
}

/** SQL of the process whose statement waits for the settings. */
const WAITING = `pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
  and query like '%"settings" for update%'`;

test('a kill between comparison and publication costs only time', async () => {
  await publishOne();
  const run = await scored(await start());
  await shift(run, 7);
  // The connection ends like that of a killed worker.
  const end = () => query(pool, { text: `select pg_terminate_backend(pid) from (select ${WAITING}) waiting` });
  expect(await betweenComparisonAndPublication(run, end)).toBe('killed');
  expect(await inForce()).toBe(1);
  await expect(reports.find('visits', 2)).rejects.toMatchObject({ code: 'unknown_generation' });
  expect(await store.find(run.id)).toMatchObject({
    state: 'publishing',
    attempts: 1,
    attemptError: expect.any(String),
  });
  await expect.poll(() => publishNow(store, run.id)).toMatchObject({ state: 'done', generation: { number: 2 } });
  expect(await reports.find('visits', 2)).toMatchObject({ figures: { outputs: [{ meanDelta: 7 }] } });
});

test.each([
  [null, 'done', 399],
  [1, 'failed', null],
])(
  'a user that is erased between comparison and publication is in no report (maxMeanDelta %s)',
  async (maxMeanDelta, state, users) => {
    await publishOne();
    await declare({ publish: { maxMeanDelta } });
    const run = await scored(await start());
    await shift(run, 300, 'user_id::int <= 10');
    // Erases like setTombstone, in a transaction that locks the settings.
    const erase = async (blocker: Db) => {
      for (const text of [
        `insert into tandem.user_contexts (user_id, version, deleted_version) values ('3', 1, 1)`,
        `insert into tandem.erasures (number, user_id, deleted_version, sweep_at) values (1, '3', 1, now())`,
      ]) {
        await query(blocker, { text });
      }
    };
    const generation = users === null ? null : { users };
    expect(await betweenComparisonAndPublication(run, erase)).toMatchObject({ state, generation });
    const { movers } = await reports.find('visits', 2);
    expect(movers.map(({ userId }) => Number(userId)).sort((a, b) => a - b)).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10]);
  },
);
