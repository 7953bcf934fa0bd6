/**
 * Fills a generation's buckets from committed rows: chunk by chunk during a run, or completely after Redis lost them.
 * Loading a row twice has no further effect. A generation counts as loaded only if its marker says so.
 *
 * The marker is created before the users are counted, and completed only if it still exists. If Redis loses data in
 * between, it loses the marker too, so a marker is never completed if rows are missing. If only the marker is lost, for
 * example because its slot moved, another count is enough.
 *
 * In a generation with a base, each bucket is marked as well. A read takes a row of the base only if the generation's
 * bucket is whole and does not contain the user. A count first puts a token into each bucket. The buckets that still
 * have it afterwards are whole.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  GenerationLoader,
  LoadableGeneration,
  LoadCount,
  LoadOptions,
  ScoredPage,
} from '@tandem/prediction/runs/online-generations';
import type { StoredRow } from '@tandem/prediction/runs/run-store';
import { bucketCommands, type StagedRows, stagePages, stageRows } from './bucket-commands.ts';
import {
  accepted,
  type OnlineConnection,
  type Shard,
  type StoreDependencies,
  tagsOf,
  unavailable,
} from './connection.ts';
import { createKeys, generationName, IS_WHOLE, type Keys, WHOLE_FIELD } from './keys.ts';
import { bulkCommand, type CommandLike, command } from './pipelined-commands.ts';
import { loadScript, runScript } from './scripts.ts';

interface GenerationLoaderDependencies extends StoreDependencies {
  /**
   * Rows of a write, default 10,000. Measured: 210,000 rows/s with 1,000, 340,000 with 5,000, 430,000 from 20,000 on.
   */
  readonly windowRows?: number;
}

const BUCKETS_A_COUNT = 2_000;

const MARK_WHOLE = loadScript('mark-whole.lua');

/**
 * The loader of generations. Its connection needs a command timeout of seconds, since a server that loads rows answers
 * later than the 50 ms of a read.
 */
export class OnlineGenerationLoader implements GenerationLoader {
  readonly #connection: OnlineConnection;
  readonly #keys: Keys;
  readonly #windowRows: number;

  constructor({ connection, prefix, windowRows = 10_000 }: GenerationLoaderDependencies) {
    this.#connection = connection;
    this.#keys = createKeys(prefix);
    this.#windowRows = windowRows;
  }

  loadRows(generation: LoadableGeneration, rows: readonly StoredRow[]): Promise<LoadCount> {
    return this.#load(generation, stageRows(rows, generation.startedAt));
  }

  loadScored(generation: LoadableGeneration, pages: readonly ScoredPage[]): Promise<LoadCount> {
    return this.#load(generation, stagePages(pages, generation.startedAt));
  }

  async completeLoad(generation: LoadableGeneration, users: number): Promise<boolean> {
    // Each primary of a cluster gets a marker, even a primary without rows.
    await this.#send(tagsOf(this.#connection).flatMap((tag) => this.#begin(generation, tag)));
    const isComplete = generation.baseId
      ? await this.#markWhole(generation, users)
      : (await this.#countFields(generation)) >= users;
    if (!isComplete) return false;
    const marker = markerOf(generation, users);
    const sets = tagsOf(this.#connection).map((tag) =>
      command('set', [this.#keys.marker(generation.id, tag), marker, 'XX']),
    );
    return (await this.#send(sets)).every((reply) => reply !== null);
  }

  async loadGeneration(
    generation: LoadableGeneration,
    pages: AsyncIterable<readonly StoredRow[]> | Iterable<readonly StoredRow[]>,
    { rowsPerSecond = 100_000, signal }: LoadOptions = {},
  ): Promise<LoadCount & { readonly complete: boolean }> {
    const total = { loaded: 0, skipped: 0 };
    const startedAt = performance.now();
    for await (const page of pages) {
      // At a low rate, small steps are used, since writing all rows of a second at once would be an uneven load.
      const step = Math.max(1, Math.min(this.#windowRows, Math.ceil(rowsPerSecond / 10)));
      for (let i = 0; i < page.length; i += step) {
        signal?.throwIfAborted();
        const { loaded, skipped } = await this.loadRows(generation, page.slice(i, i + step));
        total.loaded += loaded;
        total.skipped += skipped;
        const due = ((total.loaded + total.skipped) / rowsPerSecond) * 1_000;
        const early = startedAt + due - performance.now();
        if (early > 1) await delay(early, undefined, signal ? { signal } : {});
      }
    }
    // If rows were skipped, mark no bucket as whole. Otherwise a read would take a user's older row from the base.
    const whole = total.skipped > 0 ? { ...generation, baseId: null } : generation;
    return { ...total, complete: await this.completeLoad(whole, total.loaded) };
  }

  async isLoaded(generation: LoadableGeneration): Promise<boolean> {
    const gets = tagsOf(this.#connection).map((tag) => command('get', [this.#keys.marker(generation.id, tag)]));
    const replies = await this.#send(gets);
    return replies.every((reply) => Buffer.isBuffer(reply) && isComplete(reply.toString(), generation));
  }

  async #load(generation: LoadableGeneration, stages: Iterable<StagedRows>): Promise<LoadCount> {
    const layout = this.#connection.layout();
    const target = {
      keyPrefix: this.#keys.bucketPrefix(generation.id),
      buckets: generation.buckets,
      shardOf: this.#connection.isCluster ? (key: string) => assigned(layout.shardOf(key)) : undefined,
    };
    let [loaded, skipped] = [0, 0];
    for (const staged of stages) {
      loaded += staged.rows;
      skipped += staged.skipped;
      for (const { bytes, commands, shard } of bucketCommands(target, staged, this.#windowRows)) {
        const { tag, server } = layout.shards[shard] as Shard;
        await this.#send([...this.#begin(generation, tag), bulkCommand(server.redis, bytes, commands)], server);
      }
    }
    return { loaded, skipped };
  }

  async #send(commands: readonly CommandLike[], to: OnlineConnection = this.#connection) {
    return accepted(await to.send(commands));
  }

  #begin(generation: LoadableGeneration, tag: string): CommandLike[] {
    return [
      command('set', [this.#keys.marker(generation.id, tag), markerOf(generation, null), 'NX']),
      command('sadd', [this.#keys.generations(tag), generationName(generation)]),
    ];
  }

  /** Yields the keys of the generation's buckets, as many at a time as one write may have. */
  *#bucketsOf({ id, buckets }: LoadableGeneration): Generator<string[]> {
    for (let first = 0; first < buckets; first += BUCKETS_A_COUNT) {
      const length = Math.min(BUCKETS_A_COUNT, buckets - first);
      yield Array.from({ length }, (_, i) => this.#keys.bucket(id, first + i));
    }
  }

  async #countFields(generation: LoadableGeneration): Promise<number> {
    let fields = 0;
    for (const buckets of this.#bucketsOf(generation)) {
      const replies = await this.#connection.ask(buckets.map((bucket) => ['hlen', bucket]));
      const failure = replies.find((reply) => reply instanceof Error);
      if (failure) throw unavailable('it did not count the users', failure);
      for (const reply of replies) fields += Number(reply);
    }
    return fields;
  }

  /**
   * Counts the users of a generation with a base, and marks its buckets as whole. Returns false if users are missing.
   */
  async #markWhole(generation: LoadableGeneration, users: number): Promise<boolean> {
    const token = randomUUID();
    for (const buckets of this.#bucketsOf(generation)) {
      await this.#send(buckets.map((bucket) => command('hset', [bucket, WHOLE_FIELD, token])));
    }
    if ((await this.#countFields(generation)) - generation.buckets < users) return false;
    for (const buckets of this.#bucketsOf(generation)) {
      const calls = buckets.map((bucket) => ({ keys: [bucket], args: [WHOLE_FIELD, token, IS_WHOLE] }));
      const marked = await runScript(this.#connection, MARK_WHOLE, calls);
      if (!marked.every((one) => Number(one) === 1)) return false;
    }
    return true;
  }
}

function assigned(shard: number): number {
  if (shard < 0) throw unavailable('the cluster assigns a bucket to no server');
  return shard;
}

/**
 * Returns the value of the marker.
 * @param users the number of users; null while rows are still missing
 */
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
