/** Keeps ready the models that this process may have to answer with, and lets others know how far it has come. */
import { setTimeout } from 'node:timers/promises';
import type { Authority } from '@tandem/freshness/certificate';
import type { IsolatedPools } from '@tandem/inference/live/pool';
import { findScoredUser } from '@tandem/offline-store/generations/generation-rows';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { openRegister } from '@tandem/offline-store/rollouts/processes';
import { type KeptVersions, keepLoaded } from '@tandem/prediction/rollouts/loaded-versions';
import type { FeatureSource } from '@tandem/prediction/scoring/feature-source';
import { createLoadLog } from '@tandem/telemetry/load-log';
import type { Log } from '@tandem/telemetry/log';
import { RELEASE } from '@tandem/telemetry/release';
import { createWarmUpReads } from './warm-up-reads.ts';

export interface KeepLoadedDependencies {
  readonly registry: Pick<StoredRegistry, 'modelVersion' | 'predictors'>;
  readonly authority: Authority;
  readonly scorer: Pick<IsolatedPools, 'hold' | 'score' | 'warmUp'>;
  readonly featureSource: FeatureSource;
  readonly pool: Parameters<typeof findScoredUser>[0];
  readonly log: Log;
}

export interface KeptModels extends KeptVersions {
  /** Resolves when the first reads find ready what they need, or after 10 s: a service may start before its database. */
  readonly begun: Promise<unknown>;
  /** Has each child answer, behind what it does now; rejects where one cannot load a model in force. */
  ask(): Promise<void>;
}

/** How long a start waits for models and warm reads: a first live read that had to load one would miss its deadline. */
const BEGIN_MS = 10_000;

export function keepModels(databaseUrl: string, dependencies: KeepLoadedDependencies): KeptModels {
  const { registry, authority, scorer, pool, log } = dependencies;
  const warmUpReads = createWarmUpReads({
    ...dependencies,
    findScoredUser: (modelVersionId) => findScoredUser(pool, modelVersionId),
  });
  const kept = keepLoaded({
    register: openRegister(databaseUrl, 'api', RELEASE),
    modelVersion: (id) => registry.modelVersion(id),
    async hold(versions, tried) {
      const held = await scorer.hold(versions, tried);
      const failed = new Set(held.filter(({ error }) => error !== null).map(({ modelVersionId }) => modelVersionId));
      await warmUpReads(versions.filter(({ id }) => !failed.has(id)));
      return held;
    },
    ...createLoadLog(log),
  });
  // Behind a certificate, which tells the registry of adoptions.
  const known = authority.certify([]).then(() => registry.predictors());
  const begun = Promise.allSettled([kept.started, known]);
  return {
    ...kept,
    begun: Promise.race([begun, setTimeout(BEGIN_MS, undefined, { ref: false })]),
    async ask() {
      const [first] = kept.served();
      if (first !== undefined) await scorer.warmUp(await registry.modelVersion(first));
    },
  };
}
