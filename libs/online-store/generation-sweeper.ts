/** Takes generations out of Redis: one by name, or all that Postgres does not list any more. */
import type { GenerationSweeper } from '@tandem/prediction/runs/online-generations';
import { type OnlineConnection, unavailable } from './connection.ts';
import { createKeys } from './keys.ts';
import { type CommandLike, command, isRefusal } from './pipelined-commands.ts';

interface GenerationSweeperDependencies {
  /** As the loader's: with a command timeout of seconds. */
  readonly connection: OnlineConnection;
  readonly prefix?: string;
}

const KEYS_A_STEP = 500;

export function createGenerationSweeper({ connection, prefix }: GenerationSweeperDependencies): GenerationSweeper {
  const keys = createKeys(prefix);

  async function send(commands: readonly CommandLike[], to: Pick<OnlineConnection, 'send'> = connection) {
    const replies = await to.send(commands);
    const refusal = replies.find(isRefusal);
    if (refusal) throw unavailable('it refused a command', refusal);
    return replies;
  }

  /** Keys of generations, in small steps; some may come twice. */
  async function* scan(signal: AbortSignal | undefined): AsyncGenerator<readonly string[]> {
    for (const { server } of connection.layout().shards) {
      for (const pattern of keys.generationPatterns) {
        let cursor = '0';
        do {
          signal?.throwIfAborted();
          const step = command('scan', [cursor, 'MATCH', pattern, 'COUNT', String(KEYS_A_STEP)]);
          const [next, found] = (await send([step], server))[0] as [Buffer, Buffer[]];
          cursor = next.toString();
          if (found.length > 0) yield found.map((key) => key.toString());
        } while (cursor !== '0');
      }
    }
  }

  /** In a cluster a command names keys of one hash tag alone. */
  async function unlink(doomed: string[]): Promise<number> {
    if (doomed.length === 0) return 0;
    const commands = connection.isCluster ? doomed.map((key) => command('unlink', [key])) : [command('unlink', doomed)];
    return (await send(commands)).reduce((sum: number, reply) => sum + Number(reply), 0);
  }

  const markers = (id: string) => connection.layout().shards.map(({ tag }) => keys.marker(id, tag));

  return {
    async forget({ id, buckets }) {
      // Marker first: it must not count as loaded while its buckets go.
      await unlink(markers(id));
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
      let deleted = await unlink([...doomed].flatMap(markers));
      for await (const found of scan(signal)) {
        deleted += await unlink(found.filter((key) => doomed.has(keys.generationOf(key) ?? '')));
      }
      return { generations: [...doomed], keys: deleted };
    },
  };
}
