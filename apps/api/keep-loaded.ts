/** Keeps the models loaded that this process may have to answer with, and lets others know how far it has come. */
import { setTimeout } from 'node:timers/promises';
import type { IsolatedPools } from '@tandem/inference/isolated-pools';
import { openRegister } from '@tandem/offline-store/processes';
import type { StoredRegistry } from '@tandem/offline-store/registry';
import type { Authority } from '@tandem/prediction/certificate';
import { type KeptVersions, keepLoaded } from '@tandem/prediction/rollouts/loaded-versions';
import { createLoadLog } from '@tandem/telemetry/load-log';
import type { Log } from '@tandem/telemetry/log';
import { RELEASE } from '@tandem/telemetry/release';

export interface KeepLoadedDependencies {
  readonly registry: Pick<StoredRegistry, 'modelVersion' | 'predictors'>;
  readonly authority: Authority;
  readonly scorer: Pick<IsolatedPools, 'hold' | 'warmUp'>;
  readonly log: Log;
}

export interface KeptModels extends KeptVersions {
  /** Resolves when the first reads find ready what they need, or after a while: a service may start before its database. */
  readonly begun: Promise<unknown>;
  /** Has each child answer, behind what it does now; rejects where one cannot load a model in force. */
  ask(): Promise<void>;
}

/** How long a start waits for the models: a first live read that had to load one would miss its deadline. */
const BEGIN_MS = 5_000;

export function keepModels(databaseUrl: string, dependencies: KeepLoadedDependencies): KeptModels {
  const { registry, authority, scorer, log } = dependencies;
  const kept = keepLoaded({
    register: openRegister(databaseUrl, 'api', RELEASE),
    modelVersion: (id) => registry.modelVersion(id),
    hold: (versions, tried) => scorer.hold(versions, tried),
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
