/**
 * Inference for shadows: a process of their own, nicer than those that serve, which is there while there is something to
 * run and no longer. A candidate that crashes, hangs or leaks does it there.
 */
import type { InferencePool, InferencePoolOptions } from '@tandem/inference/live/pool';
import type { ShadowScorer, ShadowScorerObserver } from '@tandem/prediction/shadow/shadow-ports';

/** One process of the lowest priority but for what a system itself puts off. */
const OPTIONS = Object.freeze({
  processes: 1,
  niceSteps: 19,
  // A pass waits for nobody: what is late at its deadline is ended at once.
  killGraceMs: 50,
  maxLiveRows: 256,
  maxModels: 2,
});

/** @param open makes the pool, which starts nothing by itself */
export function createShadowScorer(
  open: (options: Partial<InferencePoolOptions>) => InferencePool,
): ShadowScorer & { stats(): ReturnType<InferencePool['stats']> | null } {
  let pool: InferencePool | undefined;
  let observer: ShadowScorerObserver | undefined;
  /** Artifacts that the pool keeps loaded. */
  const ready = new Set<string>();

  function opened(): InferencePool {
    pool ??= open({
      ...OPTIONS,
      onRun: ({ rows, ms, cpuMs }) => observer?.ran(rows, ms, cpuMs),
      onRestart: () => observer?.ended(),
      // Told by the process that ended, and by answers that are not there.
      onRest: () => {},
    });
    return pool;
  }

  return {
    async ready(version) {
      if (ready.has(version.artifactHash)) return;
      const asked = opened();
      await asked.warmUp(version);
      // Each process that takes the place of another loads it by itself.
      if (asked === pool) ready.add(version.artifactHash);
    },
    score: (request) => opened().score(request),
    observe(one) {
      observer = one;
    },
    stats: () => pool?.stats() ?? null,
    async rest() {
      const given = pool;
      pool = undefined;
      ready.clear();
      await given?.close(0);
    },
  };
}
