/**
 * Keeps the models loaded that this process may need, and reports to the other processes which of these models are
 * ready.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Authority } from '@tandem/freshness/certificate';
import { scorableRows } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { IsolatedPools } from '@tandem/inference/live/isolated-pools';
import { findScoredUsers } from '@tandem/offline-store/generations/generation-rows';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { type KeptVersions, keepLoaded, type ProcessRegister } from '@tandem/prediction/processes/loaded-versions';
import type { FeatureSource } from '@tandem/prediction/scoring/feature-source';
import type { Scorer } from '@tandem/prediction/scoring/scoring';
import { createLoadLog } from '@tandem/telemetry/load-log';
import type { Log } from '@tandem/telemetry/log';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { within } from '@tandem/timing/within';

interface KeepLoadedDependencies {
  readonly register: ProcessRegister;
  readonly registry: Pick<StoredRegistry, 'modelVersion' | 'predictors'>;
  readonly authority: Authority;
  readonly scorer: Pick<IsolatedPools, 'load' | 'score' | 'warmUp'>;
  readonly featureSource: FeatureSource;
  readonly pool: Parameters<typeof findScoredUsers>[0];
  readonly log: Log;
}

export interface KeptModels extends KeptVersions {
  /**
   * Resolves when everything for the first reads is ready, or after 10 s, so that a service may start before its
   * database.
   */
  readonly begun: Promise<unknown>;
  /**
   * Sends a request to each child. A child answers after its current work. Rejects if a child cannot load a current
   * model.
   */
  ask(): Promise<void>;
}

/**
 * How long a start waits for models and warm-up reads. A first live read that had to load a model would miss its
 * deadline.
 */
const BEGIN_MS = 10_000;

export function keepModels(dependencies: KeepLoadedDependencies): KeptModels {
  const { register, registry, authority, scorer, pool, log } = dependencies;
  const warmUpReads = createWarmUpReads({
    ...dependencies,
    findScoredUsers: (modelVersionIds) => findScoredUsers(pool, modelVersionIds),
  });
  const kept = keepLoaded({
    register,
    modelVersion: (id) => registry.modelVersion(id),
    async load(versions, tried) {
      const loaded = await scorer.load(versions, tried);
      const failed = new Set(loaded.filter(({ error }) => error !== null).map(({ modelVersionId }) => modelVersionId));
      await warmUpReads(versions.filter(({ id }) => !failed.has(id)));
      return loaded;
    },
    ...createLoadLog(log),
  });
  // The first certificate notifies the registry of adopted predictors.
  const known = authority.certify([]).then(() => registry.predictors());
  const begun = Promise.allSettled([kept.started, known]);
  return {
    ...kept,
    begun: Promise.race([begun, sleep(BEGIN_MS, undefined, { ref: false })]),
    async ask() {
      const [first] = kept.served();
      if (first !== undefined) await scorer.warmUp(await registry.modelVersion(first));
    },
  };
}

// Warms up the parts of a live read other than the loaded model: the connections of the pool of feature statements, the
// prepared statements and catalog caches on each connection, and our own code. For each version, the features of a user
// of its generation are read and scored once. The result is dropped.

interface WarmUpDependencies {
  readonly featureSource: FeatureSource;
  readonly scorer: Scorer;
  /** Returns a user with a stored prediction, for each of the model versions that has one. */
  findScoredUsers(modelVersionIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  readonly log: Pick<Log, 'warn'>;
}

/**
 * Warms up these versions; never rejects. A warm version is skipped. A version without a generation is warmed up again
 * when it has one.
 */
type WarmUpReads = (versions: readonly ModelVersion[]) => Promise<void>;

/**
 * The number of connections that live reads of one version use at once (live-prediction.ts). The pool keeps as many
 * open.
 */
export const WARM_CONNECTIONS = 2;
/**
 * The first read learns the types of the columns, and the second prepares the statement for these types (features.ts).
 */
const ROUNDS = 2;
/** Milliseconds that a start waits for the warm-up. Reads in progress continue afterwards. */
const WITHIN_MS = 3_000;

export function createWarmUpReads({ featureSource, scorer, findScoredUsers, log }: WarmUpDependencies): WarmUpReads {
  /** For the id of each warmed version: whether it was warmed with a user. */
  const warmed = new Map<string, boolean>();
  /** Ids of versions that the log has already reported as late. */
  const late = new Set<string>();
  let underWay: Promise<void> | undefined;

  async function warmUp(version: ModelVersion, userId: string | undefined): Promise<void> {
    if (userId === undefined && warmed.has(version.id)) return;
    warmed.set(version.id, userId !== undefined);
    const userIds = userId === undefined ? [] : [userId];
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(Array.from({ length: WARM_CONNECTIONS }, () => readAndScore(version, userIds)));
    }
  }

  async function readAndScore(version: ModelVersion, userIds: readonly string[]): Promise<void> {
    const { batch } = await featureSource.readUsers(version, userIds, 'with rows');
    const rows = scorableRows(batch);
    if (rows.length === 0) return;
    await scorer.score({ version, batch, rows, timeoutMs: WITHIN_MS, priority: 'live' });
  }

  async function warmUpAll(versions: readonly ModelVersion[]): Promise<void> {
    const users = await findScoredUsers(versions.map(({ id }) => id));
    for (const version of versions) {
      await warmUp(version, users.get(version.id)).catch((error: unknown) => {
        // The warm-up is not repeated, so that a failing query does not run every few seconds. The next attempt is the
        // first read.
        warmed.set(version.id, true);
        log.warn('reads.not_warmed', { modelVersionId: version.id, error: serialiseRefusal(error) });
      });
    }
  }

  async function warmCold(versions: readonly ModelVersion[]): Promise<void> {
    await underWay;
    const cold = versions.filter(({ id }) => !warmed.get(id));
    if (cold.length === 0) return;
    underWay ??= warmUpAll(cold)
      .catch((error: unknown) => log.warn('reads.not_warmed', { error: serialiseRefusal(error) }))
      .finally(() => {
        underWay = undefined;
      });
    await underWay;
  }

  /** Logs one line for all late versions, and reports each version once. */
  function tellLate([first, ...others]: readonly ModelVersion[]): void {
    if (!first) return;
    for (const { id } of [first, ...others]) late.add(id);
    const error = `not within ${WITHIN_MS} ms`;
    log.warn('reads.not_warmed', { modelVersionId: first.id, others: others.length, error });
  }

  return async (versions) => {
    const wanted = new Set(versions.map(({ id }) => id));
    for (const id of warmed.keys()) if (!wanted.has(id)) warmed.delete(id);
    if (versions.every(({ id }) => warmed.get(id))) return;
    const timeUp = new Error(`not within ${WITHIN_MS} ms`);
    await within(WITHIN_MS, warmCold(versions), () => timeUp).catch((error: unknown) => {
      if (error !== timeUp) throw error;
      tellLate(versions.filter(({ id }) => !warmed.get(id) && !late.has(id)));
    });
  };
}
