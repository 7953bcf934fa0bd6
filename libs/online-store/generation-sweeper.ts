/** Takes generations out of Redis: one by name, or all that Postgres does not list any more. */
import type { GenerationSweeper } from '@tandem/prediction/runs/online-generations';
import { type OnlineConnection, unavailable } from './connection.ts';
import { createKeys } from './keys.ts';
import { command, isRefusal } from './pipelined-commands.ts';

interface GenerationSweeperDependencies {
  /** As the loader's: with a command timeout of seconds. */
  readonly connection: OnlineConnection;
  readonly prefix?: string;
}

const KEYS_A_STEP = 500;

export function createGenerationSweeper({ connection, prefix }: GenerationSweeperDependencies): GenerationSweeper {
  const keys = createKeys(prefix);

  async function send(name: string, args: string[]): Promise<unknown> {
    const [reply] = await connection.send([command(name, args)]);
    if (isRefusal(reply)) throw unavailable('it refused a command', reply);
    return reply;
  }

  /** Keys of generations, in small steps; some may come twice. */
  async function* scan(signal: AbortSignal | undefined): AsyncGenerator<readonly string[]> {
    for (const pattern of keys.generationPatterns) {
      let cursor = '0';
      do {
        signal?.throwIfAborted();
        const reply = await send('scan', [cursor, 'MATCH', pattern, 'COUNT', String(KEYS_A_STEP)]);
        const [next, found] = reply as [Buffer, Buffer[]];
        cursor = next.toString();
        if (found.length > 0) yield found.map((key) => key.toString());
      } while (cursor !== '0');
    }
  }

  async function unlink(doomed: string[]): Promise<number> {
    return doomed.length === 0 ? 0 : Number(await send('unlink', doomed));
  }

  return {
    async forget({ id, buckets }) {
      // Marker first: it must not count as loaded while its buckets go.
      await unlink([keys.marker(id)]);
      for (let first = 0; first < buckets; first += KEYS_A_STEP) {
        const length = Math.min(KEYS_A_STEP, buckets - first);
        await unlink(Array.from({ length }, (_, i) => keys.bucket(id, first + i)));
      }
    },
    async sweep(listKept, signal) {
      const present = new Set<string>();
      for await (const found of scan(signal)) {
        for (const key of found) present.add(keys.generationOf(key) ?? '');
      }
      const kept = new Set(await listKept());
      const doomed = new Set([...present].filter((id) => id !== '' && !kept.has(id)));
      if (doomed.size === 0) return { generations: [], keys: 0 };
      // Markers first: a generation must not count as loaded while its buckets go.
      let deleted = await unlink([...doomed].map((id) => keys.marker(id)));
      for await (const found of scan(signal)) {
        deleted += await unlink(found.filter((key) => doomed.has(keys.generationOf(key) ?? '')));
      }
      return { generations: [...doomed], keys: deleted };
    },
  };
}
