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
    archivedAt: null,
    origin: { by: 'test', how: 'adopt' },
    variants: ['stable'],
    ...{ labels: [], verified: false, note: '', metrics: {}, build: null, parent: null },
    inputs: [{ name: 'features', type: 'float32', columns: ['recency', 'orders'] }],
    outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
  },
  expect.objectContaining({ modelVersion: '1', artifact: first.definition.artifactHash, variants: [] }),
];

describe('GET /v1/models/{predictor}', () => {
  it('lists the model versions, newest first, with their arms', async () => {
    const response = await api.get('/v1/models/repurchase');
    expect([response.status, await response.json()]).toEqual([200, { models: versions }]);
  });

  it('rejects an unknown predictor', async () => {
    const response = await api.get('/v1/models/nothing');
    expect([response.status, await response.json()]).toMatchObject([
      404,
      { type: 'urn:tandem:problem:unknown_predictor' },
    ]);
  });
});

describe('GET /v1/models', () => {
  it('lists the model versions of all predictors', async () => {
    expect(await (await api.get('/v1/models')).json()).toEqual({ models: versions });
  });
});

describe('PUT /v1/models/{predictor}/versions/{version}/archived', () => {
  const put = async (version: string, body: object) => {
    const response = await api.app.request(`/v1/models/repurchase/versions/${version}/archived`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return [response.status, await response.json()] as const;
  };
  const listedBy = async (path: string) => {
    const { models } = (await (await api.get(path)).json()) as { models: { modelVersion: string }[] };
    return models.map(({ modelVersion }) => modelVersion);
  };

  it('hides an archived version in lists unless they ask for it, and restores it', async () => {
    const moment = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(await put('1', { archived: true })).toMatchObject([200, { modelVersion: '1', archivedAt: moment }]);
    for (const path of ['/v1/models', '/v1/models/repurchase']) {
      expect(await listedBy(path)).toEqual(['2']);
      expect(await listedBy(`${path}?archived=true`)).toEqual(['2', '1']);
      expect((await api.get(`${path}?archived=yes`)).status).toBe(422);
    }
    expect(await put('1', { archived: false })).toMatchObject([200, { archivedAt: null }]);
    expect(await listedBy('/v1/models')).toEqual(['2', '1']);
  });

  it('rejects a served version, an unknown version, and a body without `archived`', async () => {
    expect(await put('2', { archived: true })).toMatchObject([409, { type: 'urn:tandem:problem:version_in_use' }]);
    expect(await put('9', { archived: true })).toMatchObject([
      404,
      { type: 'urn:tandem:problem:unknown_model_version' },
    ]);
    expect(await put('1', {})).toMatchObject([422, { type: 'urn:tandem:problem:invalid_input' }]);
  });
});
