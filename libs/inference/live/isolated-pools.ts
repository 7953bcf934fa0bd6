/**
 * Inference pools that keep model versions apart: each version that a rollout tries has children of its own, with a line,
 * a breaker and a learned cost of its own. A candidate that hangs, crashes or is slow takes no child from the stable
 * versions, and none from another candidate. What it takes is a processor, at the niceness of all children.
 *
 * The stable versions' children hold the tried ones too, so that a promotion or a rollback waits for no load.
 */

import type { ModelVersion } from '@tandem/freshness/predictor';
import type { ScoreRequest } from '@tandem/prediction/scoring/scoring';
import type { HeldModel } from './model-holder.ts';
import type { InferencePool, InferencePoolOptions, PoolStats } from './pool.ts';

export interface IsolatedPools extends InferencePool {
  /** @param tried ids of the versions that a rollout tries; each gets a pool of its own for as long as it is among them */
  hold(versions: readonly ModelVersion[], tried?: ReadonlySet<string>): Promise<readonly HeldModel[]>;
}

/** A tried version has one child until its load needs more. */
const TRIED: Partial<InferencePoolOptions> = Object.freeze({ heldProcesses: 1, maxModels: 1 });

/** @param open makes a pool, which starts nothing by itself; called once for the stable versions, and for each tried one */
export function createIsolatedPools(open: (options: Partial<InferencePoolOptions>) => InferencePool): IsolatedPools {
  const main = open({});
  /** By the id of its version. */
  const apart = new Map<string, InferencePool>();
  /** Those that are not needed any more, until they are closed. */
  const leaving = new Set<Promise<void>>();
  let isClosed = false;

  const poolOf = ({ id }: ModelVersion) => apart.get(id) ?? main;

  function leave(pool: InferencePool): void {
    const closing = pool.close().finally(() => leaving.delete(closing));
    leaving.add(closing);
  }

  /** Opens and closes pools, so that there is one for each of these versions. */
  function separate(tried: readonly ModelVersion[]): void {
    for (const [id, pool] of apart) {
      if (tried.some((version) => version.id === id)) continue;
      apart.delete(id);
      leave(pool);
    }
    for (const { id } of tried) if (!apart.has(id)) apart.set(id, open(TRIED));
  }

  return {
    score: (request: ScoreRequest) => poolOf(request.version).score(request),
    room: (version, timeoutMs) => poolOf(version).room(version, timeoutMs),
    async hold(versions, tried = new Set()) {
      const separated = versions.filter(({ id }) => tried.has(id));
      if (!isClosed) separate(separated);
      const [held, ...ofTried] = await Promise.all([
        main.hold(versions),
        ...separated.map((version) => poolOf(version).hold([version])),
      ]);
      return held.map((one) => ofTried.flat().find((other) => isWorse(other, one)) ?? one);
    },
    warmUp: (version) => main.warmUp(version),
    stats: () => [...apart.values()].reduce((sum, pool) => added(sum, pool.stats()), main.stats()),
    async close(graceMs) {
      isClosed = true;
      await Promise.all([main, ...apart.values()].map((pool) => pool.close(graceMs)));
      await Promise.all(leaving);
    },
  };
}

/** Whether a version's own pool does not hold it, though the main one does. */
function isWorse(other: HeldModel, one: HeldModel): boolean {
  return other.modelVersionId === one.modelVersionId && other.error !== null && one.error === null;
}

/** Whether a child is free is asked of the main pool: tried versions may be resting without harm to the others. */
function added(sum: PoolStats, { waitingRows, restingModels, pids }: PoolStats): PoolStats {
  return {
    ...sum,
    waitingRows: {
      live: sum.waitingRows.live + waitingRows.live,
      batch: sum.waitingRows.batch + waitingRows.batch,
    },
    restingModels: sum.restingModels + restingModels,
    pids: [...sum.pids, ...pids],
  };
}
