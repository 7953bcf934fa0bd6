/** Asks Redis what it is, and tries on a key of a second what Tandem's commands may do. */
import { randomUUID } from 'node:crypto';
import { createOnlineConnection, type OnlineConnection } from '@tandem/online-store/connection';
import { command, isRefusal } from '@tandem/online-store/pipelined-commands';
import { explainStoreRefusal } from '../servers/store-refusals.ts';
import type { RedisFacts } from './judge-redis.ts';

const CONNECT_WITHIN_MS = 3_000;

/** Rejects where the server does not answer; at once where it refuses the login, which no further attempt changes. */
export async function readRedisFacts(url: string, holdsQueue: boolean): Promise<RedisFacts> {
  let lastError = '';
  const { promise: refused, reject: refuse } = Promise.withResolvers<never>();
  const connection = createOnlineConnection({
    url,
    commandTimeoutMs: CONNECT_WITHIN_MS,
    connectTimeoutMs: CONNECT_WITHIN_MS,
    log: (event, fields) => {
      if (event !== 'online_store.lost') return;
      lastError = String(fields.error);
      const error = new Error(lastError);
      if (explainStoreRefusal(error)) refuse(error);
    },
  });
  try {
    await Promise.race([connection.whenReady(CONNECT_WITHIN_MS), refused]);
    const [info] = await connection.send([command('info', [])]);
    const limits = await readLimits(connection);
    return {
      ...parseInfo(isRefusal(info) ? '' : String(info)),
      ...limits,
      refused: await tryRights(connection),
      holdsQueue,
    };
  } catch (error) {
    // The connection's own word ("wrong password", "refused") says more than that it did not come about.
    throw lastError === '' ? error : new Error(lastError);
  } finally {
    connection.close();
  }
}

/** The fields of an INFO reply that matter here; a Valkey gives the Redis version that it stands for, and its own. */
export function parseInfo(info: string): Omit<RedisFacts, 'holdsQueue' | 'refused' | 'maxListpackEntries'> {
  const fields = new Map(
    info.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
  const number = (name: string) => Number(fields.get(name) ?? 0);
  const valkey = fields.get('valkey_version');
  return {
    server: valkey === undefined ? 'Redis' : 'Valkey',
    version: valkey ?? fields.get('redis_version') ?? null,
    role: fields.get('role') ?? 'unknown',
    policy: fields.get('maxmemory_policy') ?? null,
    maxMemory: number('maxmemory'),
    usedMemory: number('used_memory'),
  };
}

async function readLimits(connection: OnlineConnection): Promise<Pick<RedisFacts, 'maxListpackEntries'>> {
  const [reply] = await connection.send([command('config', ['get', 'hash-max-listpack-entries'])]);
  const entries = Array.isArray(reply) ? Number(String(reply[1] ?? '')) : Number.NaN;
  return { maxListpackEntries: Number.isSafeInteger(entries) ? entries : null };
}

/** What the online store and BullMQ use, on keys that nobody else has. */
function trials(key: string) {
  return [
    command('info', ['memory']),
    command('set', [key, '1', 'PX', '1000']),
    command('get', [key]),
    command('mget', [key]),
    command('hset', [`${key}:h`, 'f', 'v']),
    command('hmget', [`${key}:h`, 'f']),
    command('hlen', [`${key}:h`]),
    command('hdel', [`${key}:h`, 'f']),
    command('scan', ['0', 'COUNT', '1']),
    command('eval', ['return 1', '1', key]),
    command('unlink', [key, `${key}:h`]),
  ];
}

async function tryRights(connection: OnlineConnection): Promise<string[]> {
  const commands = trials(`tandem:doctor:${randomUUID()}`);
  const replies = await connection.send(commands);
  return commands.flatMap(({ name }, i) => {
    const reply = replies[i];
    return isRefusal(reply) && reply.message.startsWith('NOPERM') ? [name] : [];
  });
}
