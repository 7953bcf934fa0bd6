/**
 * Loads a chunk's committed rows into the online store (B7): into the buckets of its generation or, from a partial run,
 * into the overlay. If Redis does not answer, the chunk stays committed, and the generation is loaded as a whole later.
 */
import type { OverlayEntry, OverlayStore } from '@tandem/freshness/stored-prediction';
import type { GenerationLoader, LoadableGeneration, LoadCount, ScoredPage } from './online-generations.ts';
import type { GenerationStore, RunStore } from './run-store.ts';
import type { ChunkResult, ClaimedChunk, Run } from './runs.ts';
import { eachUser, type ScoredUsers } from './scored-users.ts';

export interface LoadChunkDependencies {
  readonly runs: Pick<RunStore, 'markLoaded'>;
  readonly generations: Pick<GenerationStore, 'find'>;
  readonly loader: GatheredLoads;
  readonly overlay: OverlayStore;
}

/**
 * Loads the rows of a committed chunk.
 * @param written the committed rows, without users that were erased since the read
 * @param isLast whether no chunk of the run is open any more
 * @returns null if the rows were loaded, else the reason
 */
export async function loadChunk(
  dependencies: LoadChunkDependencies,
  run: Run,
  chunk: ClaimedChunk,
  result: ChunkResult,
  written: ScoredUsers,
  isLast: boolean,
): Promise<string | null> {
  const { runs, generations, loader, overlay } = dependencies;
  try {
    if (run.generationId === null) {
      await overlay.put(overlayEntries(run, result, written));
    } else {
      const generation = await generations.find(run.generationId);
      if (!generation || generation.state === 'dropped') return 'the generation is dropped';
      await loader.loadScored(generation, [{ users: written, computedAt: result.computedAt }], isLast);
    }
    await runs.markLoaded(run.id, chunk.no);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

// A partial run stores the same overlay entries in Postgres, at the commit, and in the online store.

export function overlayEntries(run: Run, result: ChunkResult, written: ScoredUsers): OverlayEntry[] {
  return eachUser(written).map(({ userId, contextVersion, outputs }) => ({
    predictor: run.predictor,
    userId,
    modelVersionId: run.modelVersionId,
    history: result.history,
    // Certificates have the same sum as their floor.
    overlayFloor: run.overlayFloor + run.sourceVersion,
    contextVersion,
    source: 'batch',
    computedAt: result.computedAt,
    // A run of named users replaces predictions that are fresh. Other runs score users without a fresh prediction.
    ...(run.scope === 'users' ? { demanded: true } : {}),
    outputs,
  }));
}

// Loads of committed chunks continue after their jobs, so that the next chunk need not wait for Redis. If the process
// dies, the chunks stay committed. Redis then lacks users of the generation, which is not marked as loaded, and the
// reconciler loads it from its rows.

/** The chunk of a load. */
interface LoadedChunk extends Pick<ClaimedChunk, 'runId' | 'no'> {
  readonly users: number;
}

interface ChunkLoadsOptions {
  /** The maximum number of users in all current loads, which limits the memory that a slow Redis costs. */
  readonly mostUsers?: number;
  /** Called with the reason of a failed load, which is not retried here. */
  onFailed(chunk: LoadedChunk, why: string): void;
}

export type ChunkLoads = ReturnType<typeof createChunkLoads>;

export function createChunkLoads({ mostUsers = 300_000, onFailed }: ChunkLoadsOptions) {
  const underWay = new Set<Promise<void>>();
  let users = 0;

  async function run(chunk: LoadedChunk, load: () => Promise<string | null>): Promise<void> {
    users += chunk.users;
    const why = await load().catch((error: unknown) => String(error));
    users -= chunk.users;
    if (why !== null) onFailed(chunk, why);
  }

  return {
    /**
     * Begins a load. Resolves when there is room for another load: immediately, or when enough earlier loads have
     * ended.
     * @param load returns why it failed, or null
     */
    async begin(chunk: LoadedChunk, load: () => Promise<string | null>): Promise<void> {
      const running: Promise<void> = run(chunk, load).finally(() => underWay.delete(running));
      underWay.add(running);
      while (users > mostUsers) await Promise.race(underWay);
    },
    /** Resolves when all loads have ended. */
    async settled(): Promise<void> {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

// Loads of several chunks are gathered into larger loads. A chunk of 10,000 users touches almost as many buckets of a
// large generation, with a command for nearly each user. Users of several chunks share buckets, and so commands. With 2
// rows a bucket Redis took 2.1 µs of CPU a user, and with 0.6 rows 2.5 µs (4,000,000 users). More rows than `mostRows`
// would cost the worker too much memory.
//
// A statement line does not fit here: it would send the first chunk alone, whereas here each chunk waits for others.

export interface GatheringOptions {
  /** The rows per bucket of the generation at which a load is sent. */
  readonly rowsPerBucket?: number;
  /** The number of rows at which a load is sent, however many buckets there are. */
  readonly mostRows?: number;
  /** The bytes of outputs at which a load is sent, since a vector may take kilobytes a user. */
  readonly mostBytes?: number;
  /**
   * The milliseconds without another chunk after which a load is sent. After ten times as many it is sent in any case.
   */
  readonly waitMs?: number;
}

type GatheredLoads = ReturnType<typeof gatherLoads>;

interface Gathering {
  readonly generation: LoadableGeneration;
  readonly pages: ScoredPage[];
  rows: number;
  bytes: number;
  /** The time after which new chunks no longer extend the wait, on the clock of `performance.now()`. */
  readonly until: number;
  readonly timer: NodeJS.Timeout;
  readonly result: PromiseWithResolvers<LoadCount>;
}

/** The longest wait as a multiple of `waitMs`, even if more chunks arrive. */
const MOST_WAITS = 10;

export function gatherLoads(
  loader: Pick<GenerationLoader, 'loadScored'>,
  { rowsPerBucket = 2, mostRows = 100_000, mostBytes = 16 * 2 ** 20, waitMs = 500 }: GatheringOptions = {},
) {
  const gatherings = new Map<string, Gathering>();
  let ended: string | null = null;

  function begin(generation: LoadableGeneration): Gathering {
    const timer = setTimeout(() => send(gathering), waitMs);
    const until = performance.now() + (MOST_WAITS - 1) * waitMs;
    const result = Promise.withResolvers<LoadCount>();
    const gathering: Gathering = { generation, pages: [], rows: 0, bytes: 0, until, timer, result };
    gatherings.set(generation.id, gathering);
    return gathering;
  }

  function send({ generation, pages, timer, result }: Gathering): void {
    clearTimeout(timer);
    gatherings.delete(generation.id);
    loader.loadScored(generation, pages).then(result.resolve, result.reject);
  }

  return {
    /**
     * Loads pages like the loader's `loadScored`, together with other pages of the generation. The returned count covers
     * all of them.
     * @param isLast whether no more rows are expected; gathered and late rows are then written immediately
     */
    loadScored(generation: LoadableGeneration, pages: readonly ScoredPage[], isLast = false): Promise<LoadCount> {
      const gathering = gatherings.get(generation.id) ?? begin(generation);
      if (performance.now() < gathering.until) gathering.timer.refresh();
      for (const page of pages) {
        gathering.pages.push(page);
        gathering.rows += page.users.userIds.length;
        gathering.bytes += page.users.outputs.length;
      }
      if (isLast) ended = generation.id;
      const enough = Math.min(mostRows, rowsPerBucket * generation.buckets);
      const isFull = gathering.rows >= enough || gathering.bytes >= mostBytes;
      if (isFull || ended === generation.id) send(gathering);
      return gathering.result.promise;
    },
  };
}
