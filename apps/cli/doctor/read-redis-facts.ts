/** Asks Redis what it is. */
import { createOnlineConnection } from '@tandem/online-store/connection';
import type { RedisFacts } from './judge-redis.ts';

const CONNECT_WITHIN_MS = 3_000;

/** Rejects where the server does not answer. */
export async function readRedisFacts(url: string, holdsQueue: boolean): Promise<RedisFacts> {
  let lastError = '';
  const connection = createOnlineConnection({
    url,
    commandTimeoutMs: CONNECT_WITHIN_MS,
    connectTimeoutMs: CONNECT_WITHIN_MS,
    log: (event, fields) => {
      if (event === 'online_store.lost') lastError = String(fields.error);
    },
  });
  try {
    await connection.whenReady(CONNECT_WITHIN_MS);
    return { ...parseInfo(await connection.redis.info()), holdsQueue };
  } catch (error) {
    // The connection's own word ("wrong password", "refused") says more than that it did not come about.
    throw lastError === '' ? error : new Error(lastError);
  } finally {
    connection.close();
  }
}

/** The fields of an INFO reply that matter here. */
export function parseInfo(info: string): Omit<RedisFacts, 'holdsQueue'> {
  const fields = new Map(
    info.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
  const number = (name: string) => Number(fields.get(name) ?? 0);
  return {
    version: fields.get('redis_version') ?? '0',
    role: fields.get('role') ?? 'unknown',
    policy: fields.get('maxmemory_policy') ?? 'unknown',
    maxMemory: number('maxmemory'),
    usedMemory: number('used_memory'),
  };
}
