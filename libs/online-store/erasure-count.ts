/**
 * How many erasures this server was told of: what an unverified answer goes by. A server that returned with an old copy, or
 * lost everything, has another count than Postgres last said, or none.
 *
 * A count that was lost is set again by announcement: whoever does announces it here, asks Postgres after that, and sets
 * the count only while the announcement is there. What the server loses in between takes the announcement along, and so
 * does an erasure that it is told of: a count is never set where an erasure was told, or lost, after it was asked for. An
 * erasure that is told sets no count where there is none (raise-erasures.lua).
 */
import { randomUUID } from 'node:crypto';
import { createStatementBatcher } from '@tandem/freshness/statement-line';
import type { ErasureCount } from '@tandem/freshness/tombstones';
import type { OnlineErasures } from '@tandem/prediction/erasure/erasure';
import { isRefusal, type OnlineConnection, unavailable } from './connection.ts';
import { createKeys } from './keys.ts';
import { loadScript, runScript } from './scripts.ts';
import { command } from './write-together.ts';

export interface ErasureCountDependencies {
  readonly connection: OnlineConnection;
  readonly prefix?: string;
}

export interface OnlineErasureCount extends Pick<OnlineErasures, 'told' | 'restore'> {
  /** For an erasure of that number: the count is that one or a higher one then, or there is none. */
  raise(count: ErasureCount): Promise<void>;
}

/** All reject `unavailable` where Redis does not answer or refuses. */
export function createErasureCount({ connection, prefix }: ErasureCountDependencies): OnlineErasureCount {
  const keys = createKeys(prefix);
  const script = loadScript('raise-erasures.lua');

  async function send(name: string, args: string[]): Promise<unknown> {
    const [reply] = await connection.send([command(name, args)]);
    if (isRefusal(reply)) throw unavailable('it refused a command', reply);
    return reply;
  }

  async function raise({ history, count }: ErasureCount, announcement: string): Promise<boolean> {
    const args = [history, String(count), announcement];
    const [reply] = await runScript(connection, script, [{ keys: [keys.erasures, keys.restoring], args }]);
    return reply === 1;
  }

  /** One question for all who ask at a moment: while Postgres is away every read does. */
  const ask = createStatementBatcher({
    send: () => send('get', [keys.erasures]),
    maxInFlight: Number.POSITIVE_INFINITY,
    maxWeight: Number.POSITIVE_INFINITY,
  });

  return {
    async told() {
      const serverId = connection.serverId();
      const reply = await ask(null);
      const count = Buffer.isBuffer(reply) ? parseCount(reply.toString()) : null;
      // The reply came over the connection whose server this is, or there was another in between.
      return serverId === null || serverId !== connection.serverId() || count === null ? null : { serverId, ...count };
    },
    raise: async (count) => void (await raise(count, '')),
    async restore(count) {
      const announcement = randomUUID();
      await send('set', [keys.restoring, announcement]);
      return raise(await count(), announcement);
    },
  };
}

function parseCount(text: string): ErasureCount | null {
  const parts = /^([0-9a-f]{16})\.([0-9]{1,15})$/.exec(text);
  return parts ? { history: parts[1] ?? '', count: Number(parts[2]) } : null;
}
