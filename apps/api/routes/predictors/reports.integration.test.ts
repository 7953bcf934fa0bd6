import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from '../../api.fixture.ts';
import { generationView } from './list-generations.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const path = (generation: string | number) => `/v1/predictors/repurchase/generations/${generation}`;
const runAll = async () => {
  const run = (await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json()) as { id: string };
  await workOff(api, run.id);
  return (await api.get(`/v1/runs/${run.id}`)).json();
};
const report = async (generation: string | number) => (await api.get(`${path(generation)}/report`)).json();
const listed = async () => {
  const answer = await (await api.get('/v1/predictors/repurchase/generations')).json();
  const { generations } = answer as { generations: readonly Record<string, unknown>[] };
  return generations.map(({ generation, state, approvalRefused }) => [generation, state, approvalRefused]);
};
const inForce = async () =>
  ((await (await api.get('/v1/predictors/repurchase')).json()) as { generation: string }).generation;

it('a generation above a threshold is held back, shown with its report, and published after approval', async () => {
  expect((await api.get(`${path('newest')}/report`)).status).toBe(404);
  await runAll();
  expect(await report(1)).toMatchObject({ generation: '1', against: null, verdict: 'not_compared', figures: null });
  const publish = {
    maxPsi: null,
    maxFlipRate: 0.01,
    maxMeanDelta: null,
    minCoverage: null,
    minUsers: 1,
    reportTimeoutMs: 60_000,
  };
  const more = { decision: { output: 'score', threshold: 0.5 }, segments: ['orders'], publish };
  await api.pool.query('update tandem.predictors set policy = policy || $1::jsonb', [JSON.stringify(more)]);
  // The score is -id / 2 for all customers. Now the first three customers get 100 orders.
  await api.pool.query('update customers set orders = 100 where user_id <= 3');
  expect(await runAll()).toMatchObject({
    state: 'failed',
    error: expect.stringMatching(
      /^held back: flip rate 0.333333 of score is above 0.01; .*tandem generation approve repurchase 2/,
    ),
  });
  expect(await inForce()).toBe('1');
  expect(await listed()).toEqual([
    ['2', 'held_back', null],
    ['1', 'published', null],
  ]);
  expect(await report('newest')).toMatchObject({
    generation: '2',
    against: '1',
    verdict: 'blocked',
    figures: { users: { both: 9 }, decision: { up: 3, down: 0, rate: 0.333333 }, segments: [{ column: 'orders' }] },
    crossings: [{ setting: 'maxFlipRate', output: 'score', value: 0.333333, limit: 0.01 }],
    notes: [],
  });
  const movers = ((await report(2)) as { movers: { userId: string }[] }).movers.slice(0, 3);
  expect(movers.map(({ userId }) => userId).sort()).toEqual(['1', '2', '3']);
  for (let i = 0; i < 2; i++) {
    const approved = await api.post(`${path(2)}/approve`);
    expect(approved.status).toBe(200);
    expect(await approved.json()).toMatchObject({ generation: '2', inForce: true, state: 'published', users: 9 });
  }
  expect(await inForce()).toBe('2');
  expect((await listed())[0]).toEqual(['2', 'published', null]);
  const { rows } = await api.pool.query(`select actor from tandem.audit where action = 'approve'`);
  expect(rows).toEqual([{ actor: 'api' }]);
});

it('a held-back generation is listed with the reason for which its approval is rejected', async () => {
  await api.pool.query('update customers set orders = 0 where user_id <= 3');
  await runAll();
  await api.pool.query("update tandem.predictors set policy = policy - 'publish'");
  await runAll();
  const refusal = 'the newer generation 4 is current';
  expect((await listed()).slice(0, 2)).toEqual([
    ['4', 'published', null],
    ['3', 'held_back', refusal],
  ]);
  expect(await (await api.post(`${path(3)}/approve`)).json()).toMatchObject({
    detail: expect.stringContaining(refusal),
  });
});

it.each(['published', 'dropped'] as const)(
  'a generation that is %s between the two reads is not held back',
  (state) => {
    const one = {
      ...{ id: 'g', predictor: 'repurchase', number: 2, modelVersionId: 'v', modelNumber: 1, runId: 'r' },
      state,
    };
    const times = { startedAt: 0, plannedAt: 0, publishedAt: null };
    const served = { inForce: false, wasStable: true, servedStable: false };
    const rows = { history: 'h', buckets: 1, users: 9, baseId: null, baseNumber: null, usersLeft: null };
    const view = generationView({ ...one, ...times, ...served, ...rows }, 'the newer generation 3 is current');
    expect(view).toMatchObject({ state, approvalRefused: null });
  },
);

it.each([
  ['get', '/v1/predictors/repurchase/generations/99/report', 404, 'unknown_generation'],
  ['get', '/v1/predictors/repurchase/generations/99999999999999/report', 404, 'unknown_generation'],
  ['get', '/v1/predictors/repurchase/generations/zz/report', 422, 'invalid_input'],
  ['post', '/v1/predictors/repurchase/generations/0/approve', 422, 'invalid_input'],
  ['post', '/v1/predictors/repurchase/generations/newest/approve', 422, 'invalid_input'],
  ['post', '/v1/predictors/repurchase/generations/1/approve', 409, 'run_conflict'],
] as const)('%s %s is %i %s', async (method, url, status, code) => {
  const response = await api[method](url);
  expect(response.status).toBe(status);
  expect(((await response.json()) as { type: string }).type).toContain(code);
});

it('a number that no generation can have is named as sent', async () => {
  const sent = '99999999999999999999';
  expect(await report(sent)).toMatchObject({ detail: `repurchase has no generation ${sent}.`, field: 'generation' });
});
