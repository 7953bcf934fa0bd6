import { afterAll, beforeAll, expect, it } from 'vitest';
import { bearer, createKeyedApi, type KeyedApi } from '../../../../apps/api/keys/keyed-api.fixture.ts';
import { routes } from './routes.ts';

let api: KeyedApi;
beforeAll(async () => {
  api = await createKeyedApi();
});
afterAll(() => api?.close());

it('only the paths of the server need no key', () => {
  const open = routes(api.dependencies.app).filter(({ scope }) => scope === 'public');
  expect(open.map(({ route }) => route.path)).toEqual(['/v2', '/v2/', '/v2/health/live', '/v2/health/ready']);
});

it('models require `models:infer` for tensors and `predictions:read` for users', async () => {
  const [reader, inferrer] = [await api.key(), await api.key({ scopes: ['models:infer'] })];
  const input = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [10, 1] };
  const user = { name: 'user_id', datatype: 'BYTES', shape: [1], data: ['3'] };
  const statuses = async ({ key }: { readonly key: string }) => {
    const ask = async (path: string, inputs: object[] | null) =>
      (inputs ? await api.post(path, { inputs }, bearer(key)) : await api.get(path, bearer(key))).status;
    return {
      metadata: await ask('/v2/models/repurchase', null),
      tensors: await ask('/v2/models/repurchase/infer', [input]),
      version: await ask('/v2/models/repurchase/versions/1/infer', [input]),
      users: await ask('/v2/models/repurchase.hybrid/infer', [user]),
      read: await ask('/v1/predictions/repurchase/3', null),
    };
  };
  expect(await statuses(reader)).toEqual({ metadata: 200, tensors: 403, version: 403, users: 200, read: 200 });
  expect(await statuses(inferrer)).toEqual({ metadata: 200, tensors: 200, version: 200, users: 403, read: 403 });
  const refused = await api.post('/v2/models/repurchase/infer', { inputs: [input] }, bearer(reader.key));
  expect(await refused.json()).toMatchObject({
    type: 'urn:tandem:problem:missing_scope',
    error: expect.stringContaining('tandem key create --scopes models:infer'),
  });
});
