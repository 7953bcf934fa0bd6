import { createHash } from 'node:crypto';
import { adopt } from '@tandem/offline-store/adopt';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, repurchase, type TestApi } from '../../api.fixture.ts';

const first = repurchase();
const artifact = linearModel({ weights: [-0.2, 0.7] });
const second = {
  ...first,
  artifact,
  definition: { ...first.definition, artifactHash: createHash('sha256').update(artifact).digest('hex') },
};

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
  await adopt(api.pool, { predictors: [second], actor: 'test' });
});
afterAll(() => api?.close());

const versions = [
  {
    predictor: 'repurchase',
    modelVersion: '2',
    artifact: second.definition.artifactHash,
    bytes: artifact.length,
    createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    origin: { by: 'test', how: 'adopt' },
    variants: ['stable'],
    ...{ labels: [], verified: false, note: '', metrics: {}, build: null, parent: null },
    inputs: [{ name: 'features', type: 'float32', columns: ['recency', 'orders'] }],
    outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
  },
  expect.objectContaining({ modelVersion: '1', artifact: first.definition.artifactHash, variants: [] }),
];

describe('GET /v1/models/{predictor}', () => {
  it('lists the model versions, newest first, and which an arm names', async () => {
    const response = await api.get('/v1/models/repurchase');
    expect([response.status, await response.json()]).toEqual([200, { models: versions }]);
  });

  it('refuses an unknown predictor', async () => {
    const response = await api.get('/v1/models/nothing');
    expect([response.status, await response.json()]).toMatchObject([
      404,
      { type: 'urn:tandem:problem:unknown_predictor' },
    ]);
  });
});

describe('GET /v1/models', () => {
  it('lists those of all predictors', async () => {
    expect(await (await api.get('/v1/models')).json()).toEqual({ models: versions });
  });
});
