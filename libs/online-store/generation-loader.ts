/**
 * Fills a generation's buckets from committed rows: chunk by chunk during a run, or whole after Redis lost them.
 * Loading a row twice changes nothing. A generation counts as loaded only once its marker says so.
 *
 * The marker is made before the users are counted, and completed only while it is there: what Redis loses in between
 * takes the marker along, and a marker is never completed above missing rows. So a marker alone that is gone, as where
 * the slot of a primary's marker moved, costs a count.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { GenerationLoader, LoadableGeneration, LoadCount } from '@tandem/prediction/runs/online-generations';
import { bucketCommands, type StagedRows, stagePages, stageRows } from './bucket-commands.ts';
import { accepted, type OnlineConnection, type Shard, unavailable } from './connection.ts';
import { createKeys, generationName } from './keys.ts';
import { bulkCommand, type CommandLike, command } from './pipelined-commands.ts';

interface GenerationLoaderDependencies {
  /** One with a command timeout of seconds: a server busy with a window of rows answers later than a read's 50 ms. */
  readonly connection: OnlineConnection;
  readonly prefix?: string;
  /** Rows in one write, 10,000: measured 210,000 rows/s at 1,000, 340,000 at 5,000, 430,000 from 20,000 on. */
  readonly windowRows?: number;
}

const BUCKETS_A_COUNT = 2_000;

export function createGenerationLoader(dependencies: GenerationLoaderDependencies): GenerationLoader {
  const { connection, prefix, windowRows = 10_000 } = dependencies;
  const keys = createKeys(prefix);

  function shards(): readonly Shard[] {
    const found = connection.layout().shards;
    if (found.length === 0) throw unavailable('it is not connected');
    return found;
  }

  const begin = (generation: LoadableGeneration, tag: string) => [
    command('set', [keys.marker(generation.id, tag), markerOf(generation, null), 'NX']),
    command('sadd', [keys.generations(tag), generationName(generation)]),
  ];

  /** Each primary of a cluster has a marker, also one that no rows go to. */
  async function beginAll(generation: LoadableGeneration): Promise<void> {
    await sendAll(
      connection,
      shards().flatMap(({ tag }) => begin(generation, tag)),
    );
  }

  async function load(generation: LoadableGeneration, stages: Iterable<StagedRows>): Promise<LoadCount> {
    const layout = connection.layout();
    const target = {
      keyPrefix: keys.bucketPrefix(generation.id),
      buckets: generation.buckets,
      shardOf: connection.isCluster ? (key: string) => assigned(layout.shardOf(key)) : undefined,
    };
    let [loaded, skipped] = [0, 0];
    for (const staged of stages) {
      loaded += staged.rows;
      skipped += staged.skipped;
      for (const { bytes, commands, shard } of bucketCommands(target, staged, windowRows)) {
        const { tag, server } = layout.shards[shard] as Shard;
        await sendAll(server, [...begin(generation, tag), bulkCommand(server.redis, bytes, commands)]);
      }
    }
    return { loaded, skipped };
  }

  const loadRows: GenerationLoader['loadRows'] = (generation, rows) =>
    load(generation, stageRows(rows, generation.startedAt));

  async function countUsers({ id, buckets }: LoadableGeneration): Promise<number> {
    let users = 0;
    for (let first = 0; first < buckets; first += BUCKETS_A_COUNT) {
      const length = Math.min(BUCKETS_A_COUNT, buckets - first);
      const replies = await connection.ask(Array.from({ length }, (_, i) => ['hlen', keys.bucket(id, first + i)]));
      const failure = replies.find((reply) => reply instanceof Error);
      if (failure) throw unavailable('it did not count the users', failure);
      for (const reply of replies) users += Number(reply);
    }
    return users;
  }

  async function completeLoad(generation: LoadableGeneration, users: number): Promise<boolean> {
    await beginAll(generation);
    if ((await countUsers(generation)) < users) return false;
    const marker = markerOf(generation, users);
    const sets = shards().map(({ tag }) => command('set', [keys.marker(generation.id, tag), marker, 'XX']));
    return (await sendAll(connection, sets)).every((reply) => reply !== null);
  }

  return {
    loadRows,
    loadScored: (generation, pages) => load(generation, stagePages(pages, generation.startedAt)),
    completeLoad,
    async loadGeneration(generation, pages, { rowsPerSecond = 100_000, signal } = {}) {
      const total = { loaded: 0, skipped: 0 };
      const startedAt = performance.now();
      for await (const page of pages) {
        // Small steps where the rate is low: a second's worth at once would not be an even load.
        const step = Math.max(1, Math.min(windowRows, Math.ceil(rowsPerSecond / 10)));
        for (let i = 0; i < page.length; i += step) {
          signal?.throwIfAborted();
          const { loaded, skipped } = await loadRows(generation, page.slice(i, i + step));
          total.loaded += loaded;
          total.skipped += skipped;
          const due = ((total.loaded + total.skipped) / rowsPerSecond) * 1_000;
          const early = startedAt + due - performance.now();
          if (early > 1) await delay(early, undefined, signal ? { signal } : {});
        }
      }
      return { ...total, complete: await completeLoad(generation, total.loaded) };
    },
    async isLoaded(generation) {
      const gets = shards().map(({ tag }) => command('get', [keys.marker(generation.id, tag)]));
      const replies = await sendAll(connection, gets);
      return replies.every((reply) => Buffer.isBuffer(reply) && isComplete(reply.toString(), generation));
    },
  };
}

function assigned(shard: number): number {
  if (shard < 0) throw unavailable('the cluster assigns a bucket to no server');
  return shard;
}

/** @param users null while rows are still missing */
function markerOf({ buckets }: LoadableGeneration, users: number | null): string {
  return JSON.stringify({ loaded: users !== null, users, buckets });
}

function isComplete(marker: string, { buckets }: LoadableGeneration): boolean {
  try {
    const value: unknown = JSON.parse(marker);
    if (typeof value !== 'object' || value === null) return false;
    return 'loaded' in value && value.loaded === true && 'buckets' in value && value.buckets === buckets;
  } catch {
    return false;
  }
}

async function sendAll(connection: OnlineConnection, commands: readonly CommandLike[]): Promise<readonly unknown[]> {
  return accepted(await connection.send(commands));
}
