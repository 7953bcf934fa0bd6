/** Creates a key for the first runs of `tandem up` if its API requires keys, and revokes the key afterwards. */

import { type Client, type ClientOptions, createClient } from '@tandem/client/create-client';
import { insertApiKey, revokeApiKey } from '@tandem/offline-store/api-keys';
import { createPool } from '@tandem/offline-store/sql/database';
import { isProblem } from '@tandem/transport/client-errors';

interface OwnKeyPlace {
  readonly databaseUrl: string;
  /** Returns the pepper; called only if a key is needed. */
  pepper(): string;
}

/** Milliseconds within which every process knows a new key. */
const KNOWN_WITHIN_MS = 5_000;
/** Milliseconds; longer than any first run. The key expires if `tandem up` is killed and cannot revoke it. */
const EXPIRES_IN_MS = 24 * 3_600_000;

/** Returns whether the API rejects a request without a key. */
export async function asksForKeys(url: string): Promise<boolean> {
  return !(await isAnswered(createClient({ url })));
}

/** Runs the work with a client that the API accepts. */
export async function withOwnKey(
  { databaseUrl, pepper }: OwnKeyPlace,
  options: ClientOptions,
  sleep: (ms: number) => Promise<void>,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const client = createClient(options);
  if (await isAnswered(client)) return work(client);
  const pool = createPool({ url: databaseUrl, max: 1, applicationName: 'tandem-key' });
  try {
    const own = await insertApiKey(pool, OWN, pepper(), ACTOR);
    try {
      const keyed = createClient({ ...options, apiKey: own.key });
      for (let waited = 0; waited < KNOWN_WITHIN_MS && !(await isAnswered(keyed)); waited += 250) await sleep(250);
      await work(keyed);
    } finally {
      await revokeApiKey(pool, own.id, ACTOR);
    }
  } finally {
    await pool.end();
  }
}

const ACTOR = 'first runs';

const OWN = {
  name: 'first runs',
  kind: 'live',
  scopes: ['models:read', 'runs:read', 'runs:write'],
  expiresInMs: EXPIRES_IN_MS,
  requestsPerSecond: null,
  livePerSecond: null,
  newUsersPerDay: null,
} as const;

async function isAnswered(client: Client): Promise<boolean> {
  try {
    await client.predictors();
    return true;
  } catch (error) {
    if (isProblem(error, 'unauthorized')) return false;
    throw error;
  }
}
