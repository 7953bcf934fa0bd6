import type { Log } from '@tandem/telemetry/log';
import { silentLog } from '@tandem/telemetry/log';
import { afterEach, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from './api.fixture.ts';

const path = '/v1/predictions/repurchase';
let api: TestApi | undefined;
afterEach(() => api?.close());

const setProtocol = (protocol: number) => api?.pool.query('update tandem.settings set protocol = $1', [protocol]);

it('rejects reads while the schema follows a protocol that this release does not know, and names both numbers', async () => {
  const warnings: unknown[] = [];
  const log: Log = { ...silentLog, warn: (event, fields) => void warnings.push([event, fields]), with: () => log };
  api = await createTestApi({}, undefined, { megabytes: 1 }, { log });
  await api.keepCounts();
  const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
  await workOff(api, ((await started.json()) as { id: string }).id);
  // The second read is answered from memory, and the third from the overlay.
  for (const user of ['1', '1', '2']) expect((await api.get(`${path}/${user}`)).status).toBe(200);
  const readyStatus = async () => (await api?.get('/readyz'))?.status;
  await expect.poll(readyStatus).toBe(200);

  await setProtocol(2);
  const refused = await Promise.all([
    api.get(`${path}/1`),
    api.get(`${path}/1`, { 'cache-control': 'max-stale' }),
    api.get(`${path}/1`, { 'cache-control': 'no-cache' }),
    api.get(`${path}/1`, { 'cache-control': 'only-if-cached' }),
    api.post(path, { userIds: ['1', '2'] }),
  ]);
  for (const response of refused) {
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('30');
    expect(await response.json()).toMatchObject({
      type: 'urn:tandem:problem:protocol_unknown',
      detail: 'The database follows freshness protocol 2; this release knows protocol 1 only.',
    });
  }
  const ready = await api.get('/readyz');
  expect([ready.status, await ready.json()]).toMatchObject([
    503,
    { status: 'not_ready', parts: expect.arrayContaining([{ name: 'protocol', status: 'failed' }]) },
  ]);
  expect(JSON.stringify(warnings)).toMatch(/readiness\.failed.*protocol.*follows freshness protocol 2/);

  await setProtocol(1);
  expect(await (await api.get(`${path}/1`)).json()).toMatchObject({ source: 'batch', reason: 'fresh' });
  await expect.poll(readyStatus).toBe(200);
});

it('writes nothing under an unknown protocol: no erasure, no rollback, no run, no live answer', async () => {
  api = await createTestApi();
  await api.get(`${path}/1`);
  const kept = () => api?.pool.query('select count(*)::int as kept from tandem.overlay');
  await expect.poll(async () => (await kept())?.rows).toEqual([{ kept: 1 }]);
  await setProtocol(2);
  const erased = await api.app.request('/v1/users/1', { method: 'DELETE' });
  const rolledBack = await api.post('/v1/predictors/repurchase/rollback', { to: 1, reason: 'test' });
  const run = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
  expect([erased.status, run.status, (await api.get(`${path}/2`)).status]).toEqual([503, 503, 503]);
  expect(rolledBack.status).toBeGreaterThanOrEqual(400);
  expect((await api.pool.query('select 1 from tandem.erasures')).rows).toEqual([]);
  await api.dependencies.close();
  expect((await kept())?.rows).toEqual([{ kept: 1 }]);
});
