/**
 * The shadow of this process. It has separate connections and a separate inference process, which serve no reads and
 * are opened when a shadow starts.
 */
import { randomUUID } from 'node:crypto';
import type { AnswerObserver, ReadingHost } from '@tandem/embedded/observe-answers';
import { TandemError } from '@tandem/freshness/errors';
import { createIdleScorer } from '@tandem/inference/live/idle-scorer';
import { createInferencePool } from '@tandem/inference/live/pool';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import type { EventName, Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { Shadow, type ShadowDependencies } from '../shadow/shadow.ts';
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
  const scorer = createIdleScorer((options) =>
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
