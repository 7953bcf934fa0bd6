/**
 * Inference for work that no read waits for, such as shadows and replays: in a separate process with a higher nice value
 * than the serving ones. A model that crashes, hangs or leaks affects only this process.
 */
import type { IdleScorer, IdleScorerObserver } from '@tandem/prediction/scoring/idle-scorer';
import type { InferencePool, InferencePoolOptions } from './pool.ts';

/** The options of the process, which has the lowest priority above idle scheduling. */
const OPTIONS = Object.freeze({
  processes: 1,
  niceSteps: 19,
  // No request waits for a pass, so a late pass is ended at once.
  killGraceMs: 50,
  maxLiveRows: 256,
});

/**
 * Creates a scorer whose process is started by the first run.
 * @param open creates the pool, which does not start a process yet
 */
export function createIdleScorer(
  open: (options: Partial<InferencePoolOptions>) => InferencePool,
): IdleScorer & { stats(): ReturnType<InferencePool['stats']> | null } {
  let pool: InferencePool | undefined;
  let observer: IdleScorerObserver | undefined;
  /** The artifacts that the pool keeps loaded. */
  const ready = new Set<string>();

  function opened(): InferencePool {
    pool ??= open({
      ...OPTIONS,
      onRun: ({ rows, ms, cpuMs }) => observer?.ran(rows, ms, cpuMs),
      onRestart: () => observer?.ended(),
      // A paused model already shows as ended processes and missing answers.
      onRest: () => {},
    });
    return pool;
  }

  return {
    async ready(version) {
      if (ready.has(version.artifactHash)) return;
      const asked = opened();
      await asked.warmUp(version);
      // Each replacement process loads the artifact.
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
