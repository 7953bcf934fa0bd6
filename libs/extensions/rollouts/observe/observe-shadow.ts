/**
 * The shadow of this process. It has separate connections and a separate inference process, which serve no reads and
 * are opened when a shadow starts.
 */
import { randomUUID } from 'node:crypto';
import { TandemError } from '@tandem/freshness/errors';
import { createIdleScorer } from '@tandem/inference/live/idle-scorer';
import { createInferencePool } from '@tandem/inference/live/pool';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import type { AnswerObserver, ReadingHost } from '@tandem/reading/observe-answers';
import type { EventName, Log } from '@tandem/telemetry/log';
import type { Registered } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { metrics as ROLLOUT_METRICS } from '../metrics.ts';
import { Shadow, type ShadowDependencies } from '../shadow/shadow.ts';
import { createShadowStore } from '../statements/shadow.ts';

type RolloutMetrics = Registered<typeof ROLLOUT_METRICS>;

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
  const { afterReplies } = host;
  if (!afterReplies) return { onAnswer: () => {}, close: () => undefined };
  const { shadowWaiting, ...metrics } = host.metrics.register(ROLLOUT_METRICS);
  const shadow = openShadow(host, afterReplies, observing(host.log, metrics), times);
  return {
    onAnswer({ result, features }) {
      if (features !== 'candidates' && !(result instanceof TandemError)) shadow.notice(result);
    },
    close: () => shadow.close(),
    sample: () => shadowWaiting.set(shadow.waiting()),
  };
}

function openShadow(
  { childMemoryMb, log, registry, assignments }: ReadingHost,
  { pool, features }: NonNullable<ReadingHost['afterReplies']>,
  observer: ShadowDependencies['observer'],
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
    observer,
  });
}

function observing(
  log: Log,
  { shadowAnswers, shadowPasses, shadowCpu, shadowProcessesEnded }: Omit<RolloutMetrics, 'shadowWaiting'>,
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
