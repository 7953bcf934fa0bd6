/**
 * The shadow of this process: over connections, and with an inference process, that serve nobody. Nothing of it is opened
 * before there is something to shadow.
 */
import { randomUUID } from 'node:crypto';
import { createInferencePool } from '@tandem/inference/live/pool';
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { createShadowStore } from '@tandem/offline-store/rollouts/shadow';
import { createPool } from '@tandem/offline-store/sql/database';
import { createShadow, type Shadow, type ShadowDependencies } from '@tandem/prediction/shadow/create-shadow';
import type { EventName, Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { createShadowScorer } from './shadow-scorer.ts';

export interface ShadowSettings {
  readonly database: { readonly url: string; readonly featuresUrl?: string };
  readonly inference: { readonly memoryMb: number };
  readonly log: Log;
  readonly metrics: ShadowMetrics;
  readonly shadow?: { readonly keepEveryMs?: number };
}

type ShadowMetrics = Pick<Metrics, 'shadowAnswers' | 'shadowPasses' | 'shadowCpu' | 'shadowProcessesEnded'>;

/** One connection for the features of a pass, one for sums to be kept. A statement that is slow costs a shadow its time, and no more. */
const POOL = Object.freeze({ max: 1, statementTimeoutMs: 2_000, lockTimeoutMs: 500, connectTimeoutMs: 1_000 });
const FEATURES_WITHIN_MS = 1_000;

/** @param assignments what Postgres last said of a predictor */
export function openShadow(
  { database, inference, log, metrics, shadow: { keepEveryMs } = {} }: ShadowSettings,
  registry: StoredRegistry,
  assignments: ShadowDependencies['assignments'],
): Shadow {
  const pool = createPool({ url: database.url, applicationName: 'tandem-api-shadow', ...POOL });
  const source = createFeaturePool(database, { applicationName: 'tandem-api-shadow-features', ...POOL });
  const scorer = createShadowScorer((options) =>
    createInferencePool({
      loadArtifact: (hash) => registry.loadArtifact(hash),
      // Nobody's answer depends on it, so nothing here is a warning.
      log: (event, fields) => log.info(event as EventName, { ...fields, shadow: true }),
      memoryLimitMb: inference.memoryMb,
      ...options,
    }),
  );
  const shadow = createShadow({
    ...{ assignments, registry, scorer },
    features: createFeatureSource(source, { usersTimeoutMs: FEATURES_WITHIN_MS }),
    store: createShadowStore(pool),
    processId: randomUUID(),
    keepEveryMs,
    observer: observing(log, metrics),
  });
  return {
    ...shadow,
    async close() {
      await shadow.close();
      await Promise.all([pool.end(), source.end()]);
    },
  };
}

function observing(
  log: Log,
  { shadowAnswers, shadowPasses, shadowCpu, shadowProcessesEnded }: ShadowMetrics,
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
