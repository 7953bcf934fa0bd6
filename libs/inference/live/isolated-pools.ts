/**
 * Pools that isolate model versions: a version on trial in a rollout has its own children, queue, breaker and learned
 * cost. A candidate that hangs, crashes or is slow does not affect the children of stable versions, nor those of other
 * candidates up to `MOST_APART`. Further candidates share those pools, which limits memory. All pools share the
 * processors.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { LoadOutcome } from '@tandem/prediction/processes/loaded-versions';
import type { ScoreRequest, ScoreResult } from '@tandem/prediction/scoring/scoring';
import type { InferRequest } from './infer-request.ts';
import type { InferencePool, InferencePoolOptions, PoolStats } from './pool.ts';

/** A version on trial has one child until its load needs more. */
const TRIED: Partial<InferencePoolOptions> = Object.freeze({ preloadedProcesses: 1 });
/** The most pools of versions on trial. */
export const MOST_APART = 4;

/** A pool of versions on trial. */
interface ApartPool {
  readonly pool: InferencePool;
  readonly ids: Set<string>;
}

export class IsolatedPools implements InferencePool {
  readonly #open: (options: Partial<InferencePoolOptions>) => InferencePool;
  readonly #main: InferencePool;
  readonly #apart = new Set<ApartPool>();
  /** Pools by the id of their version. */
  readonly #homes = new Map<string, ApartPool>();
  /** Pools that are no longer needed, until they are closed. */
  readonly #leaving = new Set<Promise<void>>();
  #isClosed = false;

  /** @param open creates a pool without children, for the stable versions and for each version on trial */
  constructor(open: (options: Partial<InferencePoolOptions>) => InferencePool) {
    this.#open = open;
    this.#main = open({});
  }

  score(request: ScoreRequest): Promise<ScoreResult> {
    return this.#poolOf(request.version).score(request);
  }

  infer(request: InferRequest): ReturnType<InferencePool['infer']> {
    return this.#poolOf(request.version).infer(request);
  }

  room(version: ModelVersion, timeoutMs: number): number {
    return this.#poolOf(version).room(version, timeoutMs);
  }

  /**
   * Loads versions like the `load` of a pool.
   * @param tried ids of the versions on trial; each has separate children while it is listed
   */
  async load(
    versions: readonly ModelVersion[],
    tried: ReadonlySet<string> = new Set(),
  ): Promise<readonly LoadOutcome[]> {
    if (!this.#isClosed) this.#separate(versions.filter(({ id }) => tried.has(id)));
    const [loaded, ...ofTried] = await Promise.all([
      this.#main.load(versions),
      ...[...this.#apart].map(({ pool, ids }) => pool.load(versions.filter(({ id }) => ids.has(id)))),
    ]);
    // A failed load in a version's own pool counts, even if the main pool has loaded the version.
    const failed = new Map(ofTried.flat().flatMap((one) => (one.error === null ? [] : [[one.modelVersionId, one]])));
    return loaded.map((one) => (one.error === null && failed.get(one.modelVersionId)) || one);
  }

  warmUp(version: ModelVersion): Promise<void> {
    return this.#main.warmUp(version);
  }

  stats(): PoolStats {
    return [...this.#apart].reduce((sum, { pool }) => added(sum, pool.stats()), this.#main.stats());
  }

  async close(graceMs?: number): Promise<void> {
    this.#isClosed = true;
    const pools = [this.#main, ...[...this.#apart].map(({ pool }) => pool)];
    await Promise.all(pools.map((pool) => pool.close(graceMs)));
    await Promise.all(this.#leaving);
  }

  #poolOf({ id }: ModelVersion): InferencePool {
    return this.#homes.get(id)?.pool ?? this.#main;
  }

  /** Opens and closes pools, so that these versions have separate children. */
  #separate(tried: readonly ModelVersion[]): void {
    for (const [id, home] of this.#homes) {
      if (tried.some((version) => version.id === id)) continue;
      this.#homes.delete(id);
      home.ids.delete(id);
      if (home.ids.size === 0) this.#leave(home);
    }
    for (const { id } of tried) {
      if (this.#homes.has(id)) continue;
      const home = this.#findHome();
      this.#homes.set(id, home);
      home.ids.add(id);
    }
  }

  #findHome(): ApartPool {
    const least = [...this.#apart].sort((one, other) => one.ids.size - other.ids.size)[0];
    if (least && this.#apart.size >= MOST_APART) return least;
    const home = { pool: this.#open(TRIED), ids: new Set<string>() };
    this.#apart.add(home);
    return home;
  }

  #leave(home: ApartPool): void {
    this.#apart.delete(home);
    const closing = home.pool.close().finally(() => this.#leaving.delete(closing));
    this.#leaving.add(closing);
  }
}

/** Adds the figures of a pool, except whether a child is free. Only the main pool decides that, for all versions. */
function added(sum: PoolStats, { waitingRows, restingModels, models, pids }: PoolStats): PoolStats {
  return {
    ...sum,
    waitingRows: {
      live: sum.waitingRows.live + waitingRows.live,
      batch: sum.waitingRows.batch + waitingRows.batch,
    },
    restingModels: sum.restingModels + restingModels,
    models: { held: sum.models.held + models.held, bytes: sum.models.bytes + models.bytes },
    pids: [...sum.pids, ...pids],
  };
}
