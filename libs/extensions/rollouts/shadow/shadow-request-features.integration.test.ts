/** Shadow passes of calls with request features. */
import { createHash, randomUUID } from 'node:crypto';
import type { Answer } from '@tandem/freshness/answer';
import type { ModelVersion, RequestColumn } from '@tandem/freshness/predictor';
import { PLAIN_READ, type RequestFeatures } from '@tandem/freshness/read-options';
import { adopt } from '@tandem/offline-store/adopt';
import { createPredictionWorld, type PredictionWorld } from '@tandem/prediction/prediction-world.fixture';
import { echoModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { performPass } from './shadow-pass.ts';

const MODEL = echoModel('float32', 1);
const AMOUNT: RequestColumn = { name: 'amount', kind: 'number', default: 40 };

let world: PredictionWorld;
let served: ModelVersion;

beforeAll(async () => {
  world = await createPredictionWorld({ users: 20 });
  const freshness = {
    ...({ maxAgeMs: null, live: true, liveTimeoutMs: 10_000, onLiveFailure: 'stale', unverified: true } as const),
    ...{ default: null, events: ['*'] },
  };
  const definition = {
    ...{ predictor: 'echo', artifactHash: createHash('sha256').update(MODEL).digest('hex'), keyType: 'int8' as const },
    query: {
      sql: 'select user_id, changes from counts',
      columns: [{ name: 'changes', kind: 'integer' as const }],
      ...{ asOf: null, overlayForMs: null },
    },
    request: [AMOUNT],
    inputs: [{ name: 'features', type: 'float32' as const, columns: ['amount'] }],
    outputs: [{ name: 'score', output: 'score', type: 'float32' as const, width: null, index: 0 }],
  };
  const policy = { freshness, batch: { schedule: null, chunkSize: 20, minCoverage: 0 } };
  await adopt(world.pool, { actor: 'test', predictors: [{ name: 'echo', artifact: MODEL, policy, definition }] });
  const assignment = (await world.authority.certify([])).assignments('echo')?.stable;
  served = await world.registry.modelVersion(assignment?.modelVersionId ?? '');
});
afterAll(() => world?.close());

async function answersOf(rows: readonly (readonly [string, RequestFeatures])[]): Promise<readonly Answer[]> {
  const request = { rows: rows.map(([, sent]) => sent), at: (row: number) => `users[${row}]` };
  const userIds = rows.map(([userId]) => userId);
  return (await world.createReader()('echo', userIds, { ...PLAIN_READ, request })) as Answer[];
}

async function pass(answers: readonly Answer[], request: readonly RequestColumn[]) {
  const { results } = await performPass(
    {
      features: world.features,
      scorer: { score: (asked) => world.inference.score(asked), ready: async () => {} },
      now: () => performance.now(),
    },
    {
      version: { ...served, id: randomUUID(), request },
      answers,
      yardstick: { output: 'score', threshold: null },
      segments: ['amount'],
      timeoutMs: 10_000,
    },
  );
  return results;
}

it('a candidate gets the request features of the call, so that both answer for the same values', async () => {
  const answers = await answersOf([
    ['1', { amount: 5 }],
    ['2', { amount: 6 }],
    ['3', {}],
  ]);
  const results = await pass(answers, [AMOUNT]);
  expect(results).toMatchObject([
    { outcome: 'compared', segments: [{ feature: 'amount', value: '5' }] },
    { outcome: 'compared', segments: [{ feature: 'amount', value: '6' }] },
    { outcome: 'compared', segments: [{ feature: 'amount', value: '40' }] },
  ]);
});

it('a candidate has no answer if it needs a value that was not sent, or does not accept one', async () => {
  const answers = await answersOf([
    ['4', { amount: 5 }],
    ['5', { amount: 500 }],
  ]);
  const bounded = await pass(answers, [{ ...AMOUNT, max: 100 }]);
  expect(bounded.map(({ outcome }) => outcome)).toEqual(['compared', 'features_unusable']);
  const needy = await pass(answers, [AMOUNT, { name: 'query', kind: 'string' }]);
  expect(needy.map(({ outcome }) => outcome)).toEqual(['features_unusable', 'features_unusable']);
});
