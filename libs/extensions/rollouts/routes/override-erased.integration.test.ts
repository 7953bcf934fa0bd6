/** Tests of overrides of erased users: only keys that may erase users learn of an erasure. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bearer, createKeyedApi, type KeyedApi } from '../../../../apps/api/keys/keyed-api.fixture.ts';
import { serveSecondVersion } from './rollouts-api.fixture.ts';

let api: KeyedApi;
beforeAll(async () => {
  api = await createKeyedApi();
  await serveSecondVersion(api);
});
afterAll(() => api?.close());

it('an erased user cannot be assigned, and only a key with users:erase learns of the erasure', async () => {
  const admin = bearer((await api.key({ scopes: ['rollouts:admin'] })).key);
  const eraser = bearer((await api.key({ scopes: ['rollouts:admin', 'users:erase'] })).key);
  const plan = { kind: 'ab', arms: [{ variant: 'b', version: '1', weight: 50 }], coverage: 'live' };
  const started = await api.post('/v1/predictors/repurchase/rollouts', plan, admin);
  const { id } = (await started.json()) as { id: string };
  expect((await api.app.request('/v1/users/3', { method: 'DELETE', headers: eraser })).status).toBe(200);
  const override = async (userId: string, headers: typeof admin) => {
    const body = JSON.stringify({ variant: 'b' });
    const options = { method: 'PUT', headers: { ...headers, 'content-type': 'application/json' }, body };
    const response = await api.app.request(`/v1/rollouts/${id}/overrides/${userId}`, options);
    const { detail, remedy } = (await response.json()) as { detail: string; remedy: string };
    return [response.status, detail, remedy];
  };
  const [, , remedy] = await override('999', admin);
  const unknown = 'has no prediction and no feature row, or was erased.';
  expect(await override('999', admin)).toEqual([404, `User 999 ${unknown}`, remedy]);
  expect(await override('3', admin)).toEqual([404, `User 3 ${unknown}`, remedy]);
  const readmit = 'end the erasure first: tandem user readmit 3, or POST /v1/users/3/readmit';
  expect(await override('3', eraser)).toEqual([404, 'User 3 was erased, so no arm serves the user.', readmit]);
});
