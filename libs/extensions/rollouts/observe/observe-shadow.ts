/**
 * The shadow of this process. It has separate connections and a separate inference process, which serve no reads and
 * are opened when a shadow starts.
 */
import { randomUUID } from 'node:crypto';
import { TandemError } from '@tandem/freshness/errors';
import { createInferencePool, type InferencePool, type InferencePoolOptions } from '@tandem/inference/live/pool';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import type { AnswerObserver, ReadingHost } from '@tandem/reading/observe-answers';
import type { EventName, Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { Shadow, type ShadowDependencies } from '../shadow/shadow.ts';
import type { ShadowScorer, ShadowScorerObserver } from '../shadow/shadow-passes.ts';
import { createShadowStore } from '../statements/shadow.ts';

const FEATURES_WITHIN_MS = 1_000;

/** The times of a shadow in ms; the shadow has a default for each. */
export interface ShadowTimes {
  /** How often its sums are stored. */
  readonly keepEveryMs?: number;
  /** How long it waits for features. */
  readonly featuresWithinMs?: number;
  /** The time limit of an inference. */
  readonly passMs?: number;
}

/** Opens the shadow of this process, which is notified of each answer. Without connections for it, there is none. */
export function observeShadow(host: ReadingHost, times?: ShadowTimes): AnswerObserver {
  const { afterReplies, metrics } = host;
  if (!afterReplies) return { onAnswer: () => {}, close: () => undefined };
  const shadow = openShadow(host, afterReplies, times);
  return {
    onAnswer({ result, features }) {
      if (features !== 'candidates' && !(result instanceof TandemError)) shadow.notice(result);
    },
    close: () => shadow.close(),
    sample: () => metrics.shadowWaiting.set(shadow.waiting()),
  };
}

function openShadow(
  { childMemoryMb, log, metrics, registry, assignments }: ReadingHost,
  { pool, features }: NonNullable<ReadingHost['afterReplies']>,
  { featuresWithinMs = FEATURES_WITHIN_MS, ...times }: ShadowTimes = {},
): Shadow {
  const scorer = createShadowScorer((options) =>
    createInferencePool({
      loadArtifact: (hash) => registry.loadArtifact(hash),
      // No answer depends on the shadow, so its failures are not warnings.
      log: (event, fields) => log.info(event as EventName, { ...fields, shadow: true }),
      memoryLimitMb: childMemoryMb,
      ...options,
    }),
  );
  return new Shadow({
    ...{ assignments, registry, scorer },
    features: createFeatureSource(features, { usersTimeoutMs: featuresWithinMs }),
    store: createShadowStore(pool),
    processId: randomUUID(),
    ...times,
    observer: observing(log, metrics),
  });
}

function observing(
  log: Log,
  { shadowAnswers, shadowPasses, shadowCpu, shadowProcessesEnded }: Metrics,
): ShadowDependencies['observer'] {
  return {
    counted: (predictor, outcome, answers) => shadowAnswers.inc({ predictor, outcome }, answers),
    passed(predictor, ms, cpuMs) {
      shadowPasses.observe({ predictor }, ms / 1_000);
      shadowCpu.inc({ predictor }, cpuMs / 1_000);
    },
    processEnded: (predictor) => shadowProcessesEnded.inc({ predictor }),
    began: (predictor, rolloutId) => log.info('shadow.began', { predictor, rolloutId }),
    ended: (predictor, rolloutId, outcomes) => log.info('shadow.ended', { predictor, rolloutId, answers: outcomes }),
    notKept: (rolloutId, error) => log.warn('shadow.not_kept', { rolloutId, error: serialiseRefusal(error) }),
  };
}

// Inference for shadows, in a separate process with a higher nice value than the serving ones. It exists only while
// there is something to infer. A candidate that crashes, hangs or leaks affects only this process.

/** The options of the process, which has the lowest priority above idle scheduling. */
const OPTIONS = Object.freeze({
  processes: 1,
  niceSteps: 19,
  // No request waits for a pass, so a late pass is ended at once.
  killGraceMs: 50,
  maxLiveRows: 256,
});

/**
 * Creates the scorer of shadows.
 * @param open creates the pool, which does not start a process yet
 */
export function createShadowScorer(
  open: (options: Partial<InferencePoolOptions>) => InferencePool,
): ShadowScorer & { stats(): ReturnType<InferencePool['stats']> | null } {
  let pool: InferencePool | undefined;
  let observer: ShadowScorerObserver | undefined;
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
