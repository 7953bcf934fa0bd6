/**
 * Counts that a Redis server has received: of erasures, and of withdrawals. Unverified answers depend on them. A server
 * that returned with an old copy, or lost its data, has no count, or another one than Postgres last returned.
 *
 * A lost count is restored in three steps. A process announces the restore in Redis, then reads the count from
 * Postgres, and sets it only if the announcement is still there. A loss of data removes the announcement, and so does a
 * new erasure or withdrawal. So no count is set if one was received or lost after Postgres was asked. A raise never sets a
 * missing count (raise-count.lua).
 */
import { randomUUID } from 'node:crypto';
import type { HistoryCount } from '@tandem/freshness/certificate';
import { createStatementBatcher } from '@tandem/freshness/statement-line';
import type { OnlineCount } from '@tandem/prediction/online-count';
import { accepted, type StoreDependencies, tagsOf } from './connection.ts';
import { type Counted, createKeys } from './keys.ts';
import { type CommandLike, command } from './pipelined-commands.ts';
import { loadScript, runScript } from './scripts.ts';

/** Creates the port to a count. All calls reject with `unavailable` if Redis does not answer or refuses. */
export function createCount(of: Counted, { connection, prefix }: StoreDependencies): OnlineCount {
  const keys = createKeys(prefix);
  const script = loadScript('raise-count.lua');

  /** Returns the tags of the counts. Each primary of a cluster has one, since it may lose its data separately. */
  const tags = () => tagsOf(connection);
  const send = async (commands: readonly CommandLike[]) => accepted(await connection.send(commands));

  async function raise({ history, count }: HistoryCount, announcement: string): Promise<boolean> {
    const args = [history, String(count), announcement];
    const calls = tags().map((tag) => ({ keys: [keys.count(of, tag), keys.restoring(of, tag)], args }));
    return (await runScript(connection, script, calls)).every((reply) => reply === 1);
  }

  /**
   * Reads the counts, with one lookup for all concurrent callers, since each read needs them while Postgres does not
   * answer.
   */
  const ask = createStatementBatcher({
    send: () => send(tags().map((tag) => command('get', [keys.count(of, tag)]))),
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
      await send(tags().map((tag) => command('set', [keys.restoring(of, tag), announcement])));
      return raise(await count(), announcement);
    },
  };
}

function parseCount(text: string): HistoryCount | null {
  const parts = /^([0-9a-f]{16})\.([0-9]{1,15})$/.exec(text);
  return parts ? { history: parts[1] ?? '', count: Number(parts[2]) } : null;
}

/** Returns the lowest count; null if a server has none, or if the counts are of several histories. */
function lowestCount(counts: readonly (HistoryCount | null)[]): HistoryCount | null {
  return counts.reduce((lowest, count) => {
    if (lowest === null || count === null || lowest.history !== count.history) return null;
    return count.count < lowest.count ? count : lowest;
  });
}
