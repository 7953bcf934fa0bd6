/**
 * Removes generations from Redis: one by name, or all that Postgres no longer lists. A set of names and bucket counts
 * (generation-loader.ts) avoids a scan of all keys. An old copy of Redis, or a load that ends late, may leave keys
 * without a name. A daily scan finds these.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Generation } from '@tandem/prediction/runs/generations';
import type { GenerationSweeper } from '@tandem/prediction/runs/online-generations';
import { accepted, type OnlineConnection, type StoreDependencies } from './connection.ts';
import { createKeys, generationName, type Keys, parseGenerationName } from './keys.ts';
import { type CommandLike, command } from './pipelined-commands.ts';

interface GenerationSweeperDependencies extends StoreDependencies {
  /** Ms between two steps of a scan, default 20: about 25,000 keys per second, concurrently with reads. */
  readonly pauseMs?: number;
}

const KEYS_A_STEP = 500;

/** The sweeper of generations. Its connection needs a command timeout of seconds, like the loader's. */
export class OnlineGenerationSweeper implements GenerationSweeper {
  readonly #connection: OnlineConnection;
  readonly #keys: Keys;
  readonly #pauseMs: number;

  constructor({ connection, prefix, pauseMs = 20 }: GenerationSweeperDependencies) {
    this.#connection = connection;
    this.#keys = createKeys(prefix);
    this.#pauseMs = pauseMs;
  }

  async forget({ id, buckets }: Pick<Generation, 'id' | 'buckets'>): Promise<number> {
    // The marker is deleted first, since the generation must not count as loaded while its buckets are deleted.
    let deleted = await this.#unlink(this.#markers(id));
    for (let first = 0; first < buckets; first += KEYS_A_STEP) {
      const length = Math.min(KEYS_A_STEP, buckets - first);
      deleted += await this.#unlink(Array.from({ length }, (_, i) => this.#keys.bucket(id, first + i)));
    }
    // The name is deleted last, since a later sweep uses it to find keys that a killed process left.
    const name = generationName({ id, buckets });
    await this.#send(this.#tags().map((tag) => command('srem', [this.#keys.generations(tag), name])));
    return deleted;
  }

  async sweep(listKept: () => Promise<readonly string[]>) {
    const names = await this.#send(this.#tags().map((tag) => command('smembers', [this.#keys.generations(tag)])));
    const distinct = new Set((names as Buffer[][]).flat().map((name) => name.toString()));
    const present = [...distinct].flatMap((name) => parseGenerationName(name) ?? []);
    const kept = new Set(present.length === 0 ? [] : await listKept());
    const doomed = present.filter(({ id }) => !kept.has(id));
    let deleted = 0;
    for (const generation of doomed) deleted += await this.forget(generation);
    return { generations: doomed.map(({ id }) => id), keys: deleted };
  }

  async sweepLost(listKept: () => Promise<readonly string[]>, signal?: AbortSignal) {
    const gone = new Set<string>();
    let deleted = 0;
    let kept: ReadonlySet<string> = new Set();
    const isLost = (key: string) => !kept.has(this.#keys.generationOf(key) ?? '');
    for await (const found of this.#scan(signal)) {
      // The list is read again whenever a key seems untracked, since its generation may have begun after the last
      // read.
      if (found.some(isLost)) kept = new Set(await listKept());
      const doomed = found.filter(isLost);
      const ids = new Set(doomed.map((key) => this.#keys.generationOf(key) ?? ''));
      // Markers are deleted first, as above.
      deleted += await this.#unlink([...ids].flatMap((id) => this.#markers(id)));
      deleted += await this.#unlink(doomed);
      for (const id of ids) gone.add(id);
    }
    return { generations: [...gone], keys: deleted };
  }

  /** Yields the keys of generations, in small steps. A key may occur twice. */
  async *#scan(signal: AbortSignal | undefined): AsyncGenerator<readonly string[]> {
    for (const { server } of this.#connection.layout().shards) {
      let cursor = '0';
      do {
        await delay(this.#pauseMs, undefined, signal ? { signal } : {});
        const step = command('scan', [cursor, 'MATCH', this.#keys.generationPattern, 'COUNT', String(KEYS_A_STEP)]);
        const [next, found] = (await this.#send([step], server))[0] as [Buffer, Buffer[]];
        cursor = next.toString();
        if (found.length > 0) yield found.map((key) => key.toString());
      } while (cursor !== '0');
    }
  }

  /** Deletes keys. In a cluster, all keys of a command have the same hash tag. */
  async #unlink(doomed: readonly string[]): Promise<number> {
    if (doomed.length === 0) return 0;
    const groups = this.#connection.isCluster ? doomed.map((key) => [key]) : [[...doomed]];
    const replies = await this.#send(groups.map((group) => command('unlink', group)));
    return replies.reduce((sum: number, reply) => sum + Number(reply), 0);
  }

  #tags(): readonly string[] {
    return this.#connection.layout().shards.map(({ tag }) => tag);
  }

  #markers(id: string): readonly string[] {
    return this.#tags().map((tag) => this.#keys.marker(id, tag));
  }

  async #send(commands: readonly CommandLike[], to: OnlineConnection = this.#connection) {
    return accepted(await to.send(commands));
  }
}
