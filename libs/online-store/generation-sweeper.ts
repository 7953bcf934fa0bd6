/**
 * Removes generations from Redis: one by name, or all that Postgres no longer lists. A set of names and bucket counts
 * (generation-loader.ts) avoids a scan of all keys. An old copy of Redis, or a load that ends late, may leave keys
 * without a name. A daily scan finds these.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { GenerationSweeper } from '@tandem/prediction/runs/online-generations';
import { accepted, type OnlineConnection } from './connection.ts';
import { createKeys, generationName, parseGenerationName } from './keys.ts';
import { type CommandLike, command } from './pipelined-commands.ts';

interface GenerationSweeperDependencies {
  /** A connection with a command timeout of seconds, like the loader's. */
  readonly connection: OnlineConnection;
  readonly prefix?: string;
  /** Ms between two steps of a scan, default 20: about 25,000 keys per second, concurrently with reads. */
  readonly pauseMs?: number;
}

const KEYS_A_STEP = 500;

export function createGenerationSweeper(dependencies: GenerationSweeperDependencies): GenerationSweeper {
  const { connection, prefix, pauseMs = 20 } = dependencies;
  const keys = createKeys(prefix);

  async function send(commands: readonly CommandLike[], to: Pick<OnlineConnection, 'send'> = connection) {
    return accepted(await to.send(commands));
  }

  /** Yields the keys of generations, in small steps. A key may occur twice. */
  async function* scan(signal: AbortSignal | undefined): AsyncGenerator<readonly string[]> {
    for (const { server } of connection.layout().shards) {
      let cursor = '0';
      do {
        await delay(pauseMs, undefined, signal ? { signal } : {});
        const step = command('scan', [cursor, 'MATCH', keys.generationPattern, 'COUNT', String(KEYS_A_STEP)]);
        const [next, found] = (await send([step], server))[0] as [Buffer, Buffer[]];
        cursor = next.toString();
        if (found.length > 0) yield found.map((key) => key.toString());
      } while (cursor !== '0');
    }
  }

  /** Deletes keys. In a cluster, all keys of a command have the same hash tag. */
  async function unlink(doomed: readonly string[]): Promise<number> {
    if (doomed.length === 0) return 0;
    const groups = connection.isCluster ? doomed.map((key) => [key]) : [[...doomed]];
    const replies = await send(groups.map((group) => command('unlink', group)));
    return replies.reduce((sum: number, reply) => sum + Number(reply), 0);
  }

  const tags = () => connection.layout().shards.map(({ tag }) => tag);
  const markers = (id: string) => tags().map((tag) => keys.marker(id, tag));

  const forget: GenerationSweeper['forget'] = async ({ id, buckets }) => {
    // The marker is deleted first, since the generation must not count as loaded while its buckets are deleted.
    let deleted = await unlink(markers(id));
    for (let first = 0; first < buckets; first += KEYS_A_STEP) {
      const length = Math.min(KEYS_A_STEP, buckets - first);
      deleted += await unlink(Array.from({ length }, (_, i) => keys.bucket(id, first + i)));
    }
    // The name is deleted last, since a later sweep uses it to find keys that a killed process left.
    const name = generationName({ id, buckets });
    await send(tags().map((tag) => command('srem', [keys.generations(tag), name])));
    return deleted;
  };

  return {
    forget,
    async sweep(listKept) {
      const names = await send(tags().map((tag) => command('smembers', [keys.generations(tag)])));
      const distinct = new Set((names as Buffer[][]).flat().map((name) => name.toString()));
      const present = [...distinct].flatMap((name) => parseGenerationName(name) ?? []);
      const kept = new Set(present.length === 0 ? [] : await listKept());
      const doomed = present.filter(({ id }) => !kept.has(id));
      let deleted = 0;
      for (const generation of doomed) deleted += await forget(generation);
      return { generations: doomed.map(({ id }) => id), keys: deleted };
    },
    async sweepLost(listKept, signal) {
      const gone = new Set<string>();
      let deleted = 0;
      let kept: ReadonlySet<string> = new Set();
      const isLost = (key: string) => !kept.has(keys.generationOf(key) ?? '');
      for await (const found of scan(signal)) {
        // The list is read again whenever a key seems untracked, since its generation may have begun after the last
        // read.
        if (found.some(isLost)) kept = new Set(await listKept());
        const doomed = found.filter(isLost);
        const ids = new Set(doomed.map((key) => keys.generationOf(key) ?? ''));
        // Markers are deleted first, as above.
        deleted += (await unlink([...ids].flatMap(markers))) + (await unlink(doomed));
        for (const id of ids) gone.add(id);
      }
      return { generations: [...gone], keys: deleted };
    },
  };
}
