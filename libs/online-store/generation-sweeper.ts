/**
 * Takes generations out of Redis: one by name, or all that Postgres does not list any more. Which there are, a set of their
 * names and bucket counts says (generation-loader.ts), so that no look at all keys is needed. A copy of Redis from before,
 * or a load that ends after its generation was forgotten, may leave keys that the set does not name: those a scan finds,
 * which is seldom made.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { GenerationSweeper, SweepCount } from '@tandem/prediction/runs/online-generations';
import { type OnlineConnection, unavailable } from './connection.ts';
import { createKeys, generationName, parseGenerationName } from './keys.ts';
import { command, isRefusal } from './pipelined-commands.ts';

interface GenerationSweeperDependencies {
  /** As the loader's: with a command timeout of seconds. */
  readonly connection: OnlineConnection;
  readonly prefix?: string;
  /** Ms between two steps of a scan, 20: some 25,000 keys a second, beside reads. */
  readonly pauseMs?: number;
}

const KEYS_A_STEP = 500;

export function createGenerationSweeper(dependencies: GenerationSweeperDependencies): GenerationSweeper {
  const { connection, prefix, pauseMs = 20 } = dependencies;
  const keys = createKeys(prefix);

  async function send(name: string, args: string[]): Promise<unknown> {
    const [reply] = await connection.send([command(name, args)]);
    if (isRefusal(reply)) throw unavailable('it refused a command', reply);
    return reply;
  }

  async function unlink(doomed: readonly string[]): Promise<number> {
    return doomed.length === 0 ? 0 : Number(await send('unlink', [...doomed]));
  }

  /** Keys of generations, in small steps; some may come twice. */
  async function* scan(signal: AbortSignal | undefined): AsyncGenerator<readonly string[]> {
    let cursor = '0';
    do {
      const reply = await send('scan', [cursor, 'MATCH', keys.generationPattern, 'COUNT', String(KEYS_A_STEP)]);
      const [next, found] = reply as [Buffer, Buffer[]];
      cursor = next.toString();
      if (found.length > 0) yield found.map((key) => key.toString());
      await delay(pauseMs, undefined, signal ? { signal } : {});
    } while (cursor !== '0');
  }

  const forget: GenerationSweeper['forget'] = async ({ id, buckets }) => {
    // Marker first: it must not count as loaded while its buckets go.
    let deleted = await unlink([keys.marker(id)]);
    for (let first = 0; first < buckets; first += KEYS_A_STEP) {
      const length = Math.min(KEYS_A_STEP, buckets - first);
      deleted += await unlink(Array.from({ length }, (_, i) => keys.bucket(id, first + i)));
    }
    // Its name last: what a kill leaves is found by it.
    await send('srem', [keys.generations, generationName({ id, buckets })]);
    return deleted;
  };

  return {
    forget,
    async sweep(listKept) {
      const names = (await send('smembers', [keys.generations])) as Buffer[];
      const present = names.flatMap((name) => parseGenerationName(name.toString()) ?? []);
      const kept = new Set(present.length === 0 ? [] : await listKept());
      const doomed = present.filter(({ id }) => !kept.has(id));
      let deleted = 0;
      for (const generation of doomed) deleted += await forget(generation);
      return { generations: [...new Set(doomed.map(({ id }) => id))], keys: deleted };
    },
    async sweepLost(listKept, signal) {
      const gone = new Set<string>();
      let deleted = 0;
      let kept: ReadonlySet<string> = new Set();
      for await (const found of scan(signal)) {
        const ids = new Map(found.map((key) => [key, keys.generationOf(key) ?? '']));
        // Asked again whenever a key seems lost: its generation may have begun after the last time.
        if ([...ids.values()].some((id) => !kept.has(id))) kept = new Set(await listKept());
        const doomed = found.filter((key) => !kept.has(ids.get(key) ?? ''));
        const lost = new Set(doomed.map((key) => ids.get(key) ?? ''));
        // Markers first, as above.
        deleted += await unlink([...[...lost].map((id) => keys.marker(id)), ...doomed]);
        for (const id of lost) gone.add(id);
      }
      return { generations: [...gone], keys: deleted } satisfies SweepCount;
    },
  };
}
