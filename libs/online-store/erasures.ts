/**
 * The count of erasures that a Redis server has received. Unverified answers depend on it. A server that returned with
 * an old copy, or lost its data, has no count, or another one than Postgres last returned.
 *
 * A lost count is restored in three steps. A process announces the restore in Redis, then reads the count from
 * Postgres, and sets it only if the announcement is still there. A loss of data removes the announcement, and so does a
 * new erasure. So no count is set if an erasure was received or lost after Postgres was asked. An erasure never sets a
 * missing count (raise-erasures.lua).
 */
import { randomUUID } from 'node:crypto';
import type { ErasureCount } from '@tandem/freshness/certificate';
import { createStatementBatcher } from '@tandem/freshness/statement-line';
import type { DeletedKeys, OnlineErasures, OnlineLocations } from '@tandem/prediction/erasure/erasure';
import { accepted, type OnlineConnection, unavailable } from './connection.ts';
import { bucketOf, createKeys, type Keys, userKeyOf } from './keys.ts';
import { createHintStore } from './overlay-store.ts';
import { type CommandLike, command } from './pipelined-commands.ts';
import { loadScript, runScript } from './scripts.ts';

interface ErasureCountDependencies {
  readonly connection: OnlineConnection;
  readonly prefix?: string;
}

interface OnlineErasureCount extends Pick<OnlineErasures, 'told' | 'restore'> {
  /**
   * Raises the count for an erasure with this number. Afterwards the server's count is at least this number, or the
   * server has no count.
   */
  raise(count: ErasureCount): Promise<void>;
}

/** Creates the port to the count. All calls reject with `unavailable` if Redis does not answer or refuses. */
export function createErasureCount({ connection, prefix }: ErasureCountDependencies): OnlineErasureCount {
  const keys = createKeys(prefix);
  const script = loadScript('raise-erasures.lua');

  /**
   * Returns the hash tags of the counts. Each primary of a cluster has a count, since it may lose its data separately.
   */
  function tags(): readonly string[] {
    const { shards } = connection.layout();
    if (shards.length === 0) throw unavailable('it is not connected');
    return shards.map(({ tag }) => tag);
  }

  const send = async (commands: readonly CommandLike[]) => accepted(await connection.send(commands));

  async function raise({ history, count }: ErasureCount, announcement: string): Promise<boolean> {
    const args = [history, String(count), announcement];
    const calls = tags().map((tag) => ({ keys: [keys.erasures(tag), keys.restoring(tag)], args }));
    return (await runScript(connection, script, calls)).every((reply) => reply === 1);
  }

  /**
   * Reads the counts, with one lookup for all concurrent callers, since each read needs them while Postgres does not
   * answer.
   */
  const ask = createStatementBatcher({
    send: () => send(tags().map((tag) => command('get', [keys.erasures(tag)]))),
    maxInFlight: Number.POSITIVE_INFINITY,
    maxWeight: Number.POSITIVE_INFINITY,
  });

  return {
    async told() {
      const serverId = connection.serverId();
      const replies = await ask(null);
      const count = lowestCount(replies.map((reply) => (Buffer.isBuffer(reply) ? parseCount(reply.toString()) : null)));
      // If the id is the same before and after the lookup, the reply came from this server.
      return serverId === null || serverId !== connection.serverId() || count === null ? null : { serverId, ...count };
    },
    raise: async (count) => void (await raise(count, '')),
    async restore(count) {
      const announcement = randomUUID();
      await send(tags().map((tag) => command('set', [keys.restoring(tag), announcement])));
      return raise(await count(), announcement);
    },
  };
}

function parseCount(text: string): ErasureCount | null {
  const parts = /^([0-9a-f]{16})\.([0-9]{1,15})$/.exec(text);
  return parts ? { history: parts[1] ?? '', count: Number(parts[2]) } : null;
}

/** Returns the lowest count; null if a server has none, or if the counts are of several histories. */
function lowestCount(counts: readonly (ErasureCount | null)[]): ErasureCount | null {
  return counts.reduce((lowest, count) => {
    if (lowest === null || count === null || lowest.history !== count.history) return null;
    return count.count < lowest.count ? count : lowest;
  });
}

// Erases users in Redis. First the version hint of the user, which rejects older overlay entries, and the count are
// set. Then the user's fields in all generations and the overlay entries are deleted. The hint is kept, since it
// contains only a version.

/** The most commands of a write. A longer write would delay the server's other clients. */
const COMMANDS_A_WRITE = 1_000;

interface Delete {
  readonly of: keyof DeletedKeys;
  readonly command: CommandLike;
}

export function createErasures(dependencies: ErasureCountDependencies): OnlineErasures {
  const { connection, prefix } = dependencies;
  const keys = createKeys(prefix);
  const count = createErasureCount(dependencies);
  const hints = createHintStore(dependencies);

  return {
    told: count.told,
    restore: count.restore,
    async tell({ userId, history, version, number }) {
      await hints.raise([{ userId, history, version }]);
      await count.raise({ history, count: number });
    },
    async forget(userIds, locations) {
      const all = userIds.flatMap((userId) => deletesOf(keys, userId, locations));
      const deleted = { predictions: 0, overlayEntries: 0 };
      for (let i = 0; i < all.length; i += COMMANDS_A_WRITE) {
        const some = all.slice(i, i + COMMANDS_A_WRITE);
        const replies = accepted(await connection.send(some.map((one) => one.command)));
        some.forEach(({ of }, n) => {
          deleted[of] += Number(replies[n]);
        });
      }
      return deleted;
    },
  };
}

function deletesOf(keys: Keys, userId: string, { predictors, generations }: OnlineLocations): Delete[] {
  const user = userKeyOf(userId);
  return [
    ...predictors.map((predictor) => ({
      of: 'overlayEntries' as const,
      command: command('unlink', [keys.overlay(user, predictor)]),
    })),
    ...generations.map(({ id, buckets }) => ({
      of: 'predictions' as const,
      command: command('hdel', [keys.bucket(id, bucketOf(user.hash, buckets)), user.field]),
    })),
  ];
}
