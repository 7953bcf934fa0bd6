/** Fixture: an API that requires keys, with its log and a way to create keys. */
import { Writable } from 'node:stream';
import type { FreshnessPolicy } from '@tandem/freshness/predictor';
import { type ApiKeyWithText, insertApiKey, type NewApiKey } from '@tandem/offline-store/api-keys';
import { createLog } from '@tandem/telemetry/log';
import { expect } from 'vitest';
import { createTestApi, type TestApi } from '../api.fixture.ts';

export const PEPPER = 'a pepper of more than thirty-two characters';

export interface KeyedApi extends TestApi {
  /** Returns all log lines so far. */
  readonly logged: () => string;
  /** Creates a key and waits until the API knows it. */
  key(changes?: Partial<NewApiKey>): Promise<ApiKeyWithText>;
}

export async function createKeyedApi(freshness: Partial<FreshnessPolicy> = {}): Promise<KeyedApi> {
  let lines = '';
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines += String(chunk);
      done();
    },
  });
  const log = createLog({ level: 'debug', name: 'api', destination });
  const api = await createTestApi(freshness, undefined, undefined, {
    keys: { pepper: PEPPER },
    keysEveryMs: 50,
    log,
    logShare: 1,
  });
  return {
    ...api,
    logged: () => lines,
    async key(changes = {}) {
      const key = await insertApiKey(api.pool, { ...ANY_KEY, ...changes }, PEPPER);
      // All keys are loaded at once, so a process that knows a later key knows this one. Asking with the later key uses
      // no quota of this key.
      const later = await insertApiKey(api.pool, ANY_KEY, PEPPER);
      await expect.poll(() => statusOf(api, later.key)).toBe(403);
      return key;
    },
  };
}

const ANY_KEY: NewApiKey = {
  name: 'test',
  kind: 'live',
  scopes: ['predictions:read'],
  expiresInMs: null,
  requestsPerSecond: null,
  livePerSecond: null,
  newUsersPerDay: null,
};

/** Returns the status of a path whose scope the key lacks. */
async function statusOf(api: TestApi, key: string): Promise<number> {
  return (await api.get('/v1/models', bearer(key))).status;
}

export function bearer(key: string): { authorization: string } {
  return { authorization: `Bearer ${key}` };
}
