/** Tests of the temporary key of a command, with an API that requires keys. */

import { setTimeout as sleep } from 'node:timers/promises';
import { listApiKeys } from '@tandem/offline-store/api-keys';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApi } from '../../api/api.fixture.ts';
import { createKeyedApi, type KeyedApi, PEPPER } from '../../api/keys/keyed-api.fixture.ts';
import { withOwnKey } from './own-key.ts';

let api: KeyedApi;
beforeAll(async () => {
  api = await createKeyedApi();
});
afterAll(() => api?.close());

const pause = (ms: number) => sleep(ms);

function optionsFor(asked: { app: KeyedApi['app'] }) {
  const fetch: typeof globalThis.fetch = async (url, init) => asked.app.request(String(url), init);
  return { url: 'http://localhost', fetch };
}

test('if the API requires keys, the work gets a key, which is revoked afterwards', async () => {
  const place = { databaseUrl: api.databaseUrl, pepper: () => PEPPER };
  let seen: readonly string[] = [];
  await withOwnKey(place, optionsFor(api), pause, async (client) => {
    seen = (await client.predictors()).map(({ name }) => name);
    expect(await client.runs.list()).toMatchObject({ runs: [] });
    await expect(client.predict('repurchase', '1')).rejects.toMatchObject({ code: 'missing_scope' });
    expect(await listApiKeys(api.pool)).toMatchObject([{ name: 'first runs', state: 'active' }]);
  });
  expect(seen).toEqual(['repurchase']);
  expect(await listApiKeys(api.pool)).toMatchObject([{ name: 'first runs', state: 'revoked' }]);
});

test('the key is also revoked if the work fails', async () => {
  const place = { databaseUrl: api.databaseUrl, pepper: () => PEPPER };
  const work = withOwnKey(place, optionsFor(api), pause, () => Promise.reject(new Error('no')));
  await expect(work).rejects.toThrow('no');
  expect((await listApiKeys(api.pool)).map(({ state }) => state)).toEqual(['revoked', 'revoked']);
});

test('if the API requires no keys, no key is created', async () => {
  const open = await createTestApi();
  try {
    const place = {
      databaseUrl: open.databaseUrl,
      pepper() {
        throw new Error('no key is needed');
      },
    };
    let worked = false;
    await withOwnKey(place, optionsFor(open), pause, async () => {
      worked = true;
    });
    expect([worked, await listApiKeys(open.pool)]).toEqual([true, []]);
  } finally {
    await open.close();
  }
});
