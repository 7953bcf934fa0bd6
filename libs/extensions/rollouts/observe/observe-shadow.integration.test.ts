import type { Answer } from '@tandem/freshness/answer';
import { bucketOfUser } from '@tandem/freshness/assignment';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import * as hostile from '@tandem/testing/hostile-models';
import { loopModel } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTestApi, type TestApi } from '../../../../apps/api/api.fixture.ts';
import { declareDecision, endShadow, inferenceChildren, reportOf, startShadow } from './observe-shadow.fixture.ts';
import { observeShadow, type ShadowTimes } from './observe-shadow.ts';

// A candidate has the lowest priority for a processor, so it is slow on a busy machine.
vi.setConfig({ testTimeout: 240_000 });
const PATIENCE = { timeout: 120_000, interval: 250 };
const SHADOW = { keepEveryMs: 200, featuresWithinMs: 20_000 };

const createShadowApi = (times: ShadowTimes) =>
  createTestApi({}, undefined, undefined, { observers: [(host) => observeShadow(host, times)] });

let api: TestApi;
beforeEach(async () => {
  api = await createShadowApi({ ...SHADOW, passMs: 60_000 });
});
afterEach(() => api?.close());

/** Creates customers 1 to n. No score is exactly 0.5. */
async function haveCustomers(n: number): Promise<void> {
  await api.pool.query(
    `insert into customers select n, (n * 7) % 100 + 0.5, n % 20, now() - interval '1 hour' from generate_series(1, $1::int) n
     on conflict (user_id) do update set recency = excluded.recency, orders = excluded.orders`,
    [n],
  );
}

async function readEveryone(n: number): Promise<void> {
  for (let first = 1; first <= n; first += 250) {
    const userIds = Array.from({ length: Math.min(250, n - first + 1) }, (_, i) => `${first + i}`);
    const { results } = (await (await api.post('/v1/predictions/repurchase', { userIds })).json()) as {
      results: { source?: string }[];
    };
    expect(results.every(({ source }) => source === 'live')).toBe(true);
  }
}

/** Returns the answers without their age. */
async function answersOf(userIds: readonly number[]): Promise<unknown[]> {
  return Promise.all(
    userIds.map(async (userId) => {
      const response = await api.get(`/v1/predictions/repurchase/${userId}`);
      const { ageSeconds, ...body } = (await response.json()) as { ageSeconds: number };
      return { status: response.status, etag: response.headers.get('etag'), body };
    }),
  );
}

const outcomesOf = (rolloutId: string) => reportOf(api, rolloutId).then(({ outcomes }) => outcomes);
const sumOf = (outcomes: Readonly<Record<string, number>>) => Object.values(outcomes).reduce((a, b) => a + b, 0);

describe('a shadow', () => {
  it('finds no changed decision with the same model, and exactly the planted 1 % with another query', async () => {
    const users = 1_000;
    await haveCustomers(users);
    await declareDecision(api, 0.5, ['orders']);
    const same = await startShadow(api);
    await readEveryone(users);
    await expect.poll(() => outcomesOf(same), PATIENCE).toMatchObject({ compared: users });
    const { everybody, movers, joint, candidate } = await reportOf(api, same);
    expect(everybody).toMatchObject({ differentShare: 0, meanDelta: 0, largestDelta: 0, flips: { up: 0, down: 0 } });
    expect(everybody.flips?.interval.high).toBeLessThan(0.005);
    expect(movers).toEqual([]);
    expect(joint?.flat().reduce((a, b) => a + b)).toBe(users);
    expect(joint?.every((row, i) => row.every((count, j) => i === j || count === 0))).toBe(true);
    expect(candidate).toMatchObject({ usersRun: users, processesEnded: 0, cpuMsPerThousand: expect.any(Number) });
    await endShadow(api, same);
    // For every hundredth user, the candidate's score is 1 - score.
    const other = await startShadow(api, {
      sql: `select user_id, case when user_id % 100 = 0 then 10 * orders - recency else recency end as recency, orders,
        loaded_at from customers`,
    });
    await readStored(users);
    await expect.poll(() => outcomesOf(other), PATIENCE).toMatchObject({ compared: users });
    const found = await reportOf(api, other);
    const { up = 0, down = 0, rate, interval } = found.everybody.flips ?? {};
    expect([up + down, rate]).toEqual([users / 100, 0.01]);
    expect(interval?.low).toBeGreaterThan(0.005);
    expect(interval?.high).toBeLessThan(0.02);
    expect(found.movers.map(({ userId }) => Number(userId) % 100)).toEqual(Array.from({ length: 10 }, () => 0));
    // The orders are the id modulo 20, so every hundredth customer has 0 orders.
    const flipped = found.segments.filter(({ flips }) => (flips?.rate ?? 0) > 0);
    expect(flipped).toMatchObject([{ feature: 'orders', value: '0', compared: users / 20 }]);
    expect(found.segments.reduce((sum, { compared }) => sum + compared, 0)).toBe(users);
  });

  /** Reads all users again; their answers are now stored. */
  async function readStored(users: number): Promise<void> {
    const userIds = Array.from({ length: users }, (_, i) => `${i + 1}`);
    const response = await api.post('/v1/predictions/repurchase', { userIds });
    expect(response.status).toBe(200);
  }

  it.each([
    ['never ends', hostile.endlessModel(), ['timed_out']],
    ['returns NaN', hostile.neverFiniteModel(Number.NaN), ['failed']],
    // On a busy machine the time limit is reached before the memory limit.
    ['uses memory until it is killed', hostile.growingModel(), ['failed', 'timed_out', 'unavailable']],
    ['cannot be loaded', Buffer.from('no model at all'), ['unavailable']],
  ] as const)('that %s changes no answer', async (_, model, expected) => {
    await api.close();
    api = await createShadowApi(SHADOW);
    const users = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    await answersOf(users);
    const before = await answersOf(users);
    const rolloutId = await startShadow(api, { model });
    for (let round = 0; round < 20; round++) expect(await answersOf(users)).toEqual(before);
    const sumOfExpected = (outcomes: Readonly<Record<string, number>>) =>
      expected.reduce((sum, outcome) => sum + (outcomes[outcome] ?? 0), 0);
    await expect.poll(() => outcomesOf(rolloutId).then(sumOfExpected), PATIENCE).toBeGreaterThan(0);
    expect(await answersOf(users)).toEqual(before);
    expect((await outcomesOf(rolloutId)).compared).toBe(0);
    // Only the shadow's process crashed: no serving child had to be replaced.
    const exposed = await (await api.get('/metrics', { accept: 'text/plain' })).text();
    expect(exposed).not.toContain('tandem_inference_restarts_total{');
    // Live inference continues meanwhile.
    const live = await api.get('/v1/predictions/repurchase/1', { 'cache-control': 'no-cache' });
    expect(await live.json()).toMatchObject({ source: 'live', reason: 'requested' });
  });

  it('runs in a separate process with a higher nice value, which ends with the shadow', async () => {
    await answersOf([1]);
    const serving = inferenceChildren().map(({ pid }) => pid);
    const rolloutId = await startShadow(api);
    await answersOf([1, 2, 3]);
    await expect.poll(() => outcomesOf(rolloutId), PATIENCE).toMatchObject({ compared: 3 });
    const own = inferenceChildren().filter(({ pid }) => !serving.includes(pid));
    expect(own).toEqual([{ pid: expect.any(Number), niceness: 19 }]);
    await endShadow(api, rolloutId);
    await answersOf([1]);
    await expect.poll(() => inferenceChildren().map(({ pid }) => pid), PATIENCE).toEqual(serving);
    expect((await api.get('/metrics', { accept: 'text/plain' }).then((one) => one.text())).split('\n')).toContain(
      'tandem_shadow_answers_total{predictor="repurchase",outcome="compared",app="api"} 3',
    );
  });

  it('continues after its process was killed', async () => {
    const rolloutId = await startShadow(api, { model: loopModel() });
    // The model returns the number of orders, and loops `recency` times.
    await answersOf([1]);
    await expect.poll(() => outcomesOf(rolloutId), PATIENCE).toMatchObject({ compared: 1 });
    const nicest = inferenceChildren().sort((one, other) => other.niceness - one.niceness)[0];
    process.kill(nicest?.pid ?? 0, 'SIGKILL');
    await answersOf([2]);
    await expect.poll(() => outcomesOf(rolloutId), PATIENCE).toMatchObject({ compared: 2 });
    expect((await reportOf(api, rolloutId)).candidate.processesEnded).toBe(1);
  });

  it('compares all answers of sampled users up to its rate, and counts every other answer', async () => {
    await haveCustomers(400);
    const rolloutId = await startShadow(api, { share: 0.5, maxPerSecond: 10 });
    const startedAt = performance.now();
    await readEveryone(400);
    const seconds = (performance.now() - startedAt) / 1_000;
    const shadowed = await shadowedUsers(rolloutId, 400);
    await expect.poll(async () => sumOf(await outcomesOf(rolloutId)), PATIENCE).toBe(shadowed);
    const outcomes = await outcomesOf(rolloutId);
    expect(outcomes.compared).toBeGreaterThan(0);
    expect(shadowed).toBeGreaterThan(140);
    expect(shadowed).toBeLessThan(260);
    expect(outcomes.compared).toBeLessThanOrEqual(10 + 10 * seconds);
    expect(outcomes.over_rate).toBe(shadowed - (outcomes.compared ?? 0));
  });

  /** Returns how many of the customers 1 to n are in the half that the shadow samples. */
  async function shadowedUsers(rolloutId: string, n: number): Promise<number> {
    const { rows } = await api.pool.query('select salt from tandem.rollouts where id = $1', [rolloutId]);
    const userIds = Array.from({ length: n }, (_, i) => `${i + 1}`);
    return userIds.filter((userId) => bucketOfUser(rows[0]?.salt, userId) < 5_000).length;
  }

  it('compares an answer once, and not if the context has changed since', async () => {
    const read = async (userId: string) => {
      const [answer] = await api.dependencies.app.readPrediction('repurchase', [userId], PLAIN_READ);
      return answer as Answer;
    };
    const rolloutId = await startShadow(api);
    const [first, second] = [await read('1'), await read('2')];
    const event = { specversion: '1.0', id: 'e1', source: 's', type: 'order.placed', subject: '2' };
    await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
    const { onAnswer, registry } = api.dependencies.app;
    const predictor = await registry.predictor('repurchase');
    if (!predictor) throw new Error('nothing is adopted');
    const notice = (result: Answer) =>
      onAnswer({ predictor, userId: result.userId, result, ms: 1, features: 'stored' });
    for (const answer of [first, second, { ...first, source: 'stale' as const }]) notice(answer);
    const expected = { compared: 1, context_differs: 1, not_fresh: 1 };
    await expect.poll(() => outcomesOf(rolloutId), PATIENCE).toMatchObject(expected);
    notice(await read('1'));
    await expect.poll(() => outcomesOf(rolloutId), PATIENCE).toMatchObject({ ...expected, repeated: 1 });
  });

  it('removes an erased user from its report', async () => {
    await haveCustomers(3);
    const rolloutId = await startShadow(api, {
      model: loopModel(),
      sql: 'select user_id, recency, orders + 5 as orders, loaded_at from customers',
    });
    await answersOf([1, 2, 3]);
    await expect.poll(async () => (await reportOf(api, rolloutId)).movers.length, PATIENCE).toBe(3);
    expect((await api.app.request('/v1/users/2', { method: 'DELETE' })).status).toBe(200);
    const { movers, everybody } = await reportOf(api, rolloutId);
    expect(movers.map(({ userId }) => userId).sort()).toEqual(['1', '3']);
    expect(everybody.compared).toBe(3);
  });

  it('has no report for an unknown rollout or a canary', async () => {
    const missing = await api.get('/v1/rollouts/0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b12/shadow-report');
    expect([missing.status, (await api.get('/v1/rollouts/x/shadow-report')).status]).toEqual([404, 404]);
    const rolloutId = await startShadow(api);
    await api.pool.query(`update tandem.rollouts set kind = 'canary', plan = jsonb_set(plan, '{kind}', '"canary"')`);
    expect((await api.get(`/v1/rollouts/${rolloutId}/shadow-report`)).status).toBe(409);
  });
});
