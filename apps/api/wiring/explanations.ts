/** What this process keeps of answers, with what they were made of, and what showing and computing them again takes. */

import type { ModelVersion } from '@tandem/freshness/predictor';
import { createInputSource } from '@tandem/offline-store/explanations/explanation-inputs';
import { createExplanationStore } from '@tandem/offline-store/explanations/kept-explanations';
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { findProvenance } from '@tandem/offline-store/features/provenance';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { createPool } from '@tandem/offline-store/sql/database';
import { createKeptAnswers, type KeptAnswers } from '@tandem/prediction/explanations/keep-explanations';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { openReplayScorer, type ReplaySettings } from './replay.ts';

export interface KeptAnswersSettings {
  readonly database: { readonly url: string; readonly featuresUrl?: string };
  readonly log: Pick<Log, 'warn'>;
  readonly metrics: Pick<Metrics, 'keptExplanations'>;
}

/** Of its own, and one for each login: what is read and written after replies takes no read's connection, nor much of the server. */
const POOL = Object.freeze({ max: 1, statementTimeoutMs: 2_000, lockTimeoutMs: 500, connectTimeoutMs: 1_000 });

/** Connects when there is something to keep. */
export function openKeptAnswers({ database, log, metrics }: KeptAnswersSettings): KeptAnswers {
  const pool = createPool({ url: database.url, applicationName: 'tandem-api-explanations', ...POOL });
  const features = createFeaturePool(database, { applicationName: 'tandem-api-explanations-features', ...POOL });
  const kept = createKeptAnswers({
    store: createExplanationStore(pool),
    inputs: createInputSource(pool, features),
    counted: (predictor, outcome, answers) => metrics.keptExplanations.inc({ predictor, outcome }, answers),
    notKept: (error) => log.warn('explanations.not_kept', { error: serialiseRefusal(error) }),
  });
  return {
    ...kept,
    async close() {
      await kept.close();
      await Promise.all([pool.end(), features.end()]);
    },
  };
}

interface ExplanationStores {
  readonly pool: ReturnType<typeof createPool>;
  /** Of statements with a feature query. */
  readonly features: ReturnType<typeof createPool>;
  readonly registry: StoredRegistry;
}

/** @param opened what is to be closed at the end is added to it */
export function openExplanations(
  settings: ReplaySettings,
  { pool, features, registry }: ExplanationStores,
  opened: (() => unknown)[],
) {
  const replayScorer = openReplayScorer(settings, registry);
  opened.push(() => replayScorer.close());
  return {
    explainFeatures: (version: ModelVersion, userId: string) => findProvenance(features, version, userId),
    explanations: createExplanationStore(pool),
    replayScorer,
  };
}
