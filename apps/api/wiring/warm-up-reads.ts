/**
 * Prepares what the first live read of a model version needs beside the model in its child: connections of the pool of
 * feature statements, on each of them the version's statements with what Postgres looks up to plan and run them, and our own
 * code. Each version is warmed once with a user of its generation, whose features are read and scored; nothing is kept.
 */

import { scorableRows } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { FeatureSource } from '@tandem/prediction/scoring/feature-source';
import type { Scorer } from '@tandem/prediction/scoring/scoring';
import type { Log } from '@tandem/telemetry/log';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';

export interface WarmUpDependencies {
  readonly featureSource: FeatureSource;
  readonly scorer: Scorer;
  /** Returns a user who has a stored prediction of the model version; undefined while there is none. */
  findScoredUser(modelVersionId: string): Promise<string | undefined>;
  readonly log: Pick<Log, 'warn'>;
}

/** Never rejects. Versions that are warm cost nothing; one without a generation is warmed again when it has one. */
export type WarmUpReads = (versions: readonly ModelVersion[]) => Promise<void>;

/** As many as the live reads of one version use at once (live-prediction.ts), and as the pool keeps. */
export const WARM_CONNECTIONS = 2;
/** The first read learns the types of the columns, the second prepares the statement for them (features.ts). */
const ROUNDS = 2;
/** Milliseconds that a start waits for it; what is under way then goes on. */
const WITHIN_MS = 3_000;

export function createWarmUpReads({ featureSource, scorer, findScoredUser, log }: WarmUpDependencies): WarmUpReads {
  /** Id of a version → whether it was warmed with a user. */
  const warmed = new Map<string, boolean>();
  let underWay: Promise<void> | undefined;

  async function warmUp(version: ModelVersion): Promise<void> {
    const userId = await findScoredUser(version.id);
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
    for (const version of versions) {
      await warmUp(version).catch((error: unknown) => {
        // The next attempt is a read's: a query that fails here is not run every few seconds.
        warmed.set(version.id, true);
        log.warn('reads.not_warmed', { modelVersionId: version.id, error: serialiseRefusal(error) });
      });
    }
    underWay = undefined;
  }

  async function warmCold(versions: readonly ModelVersion[]): Promise<void> {
    await underWay;
    const cold = versions.filter(({ id }) => !warmed.get(id));
    if (cold.length === 0) return;
    underWay ??= warmUpAll(cold);
    await underWay;
  }

  return async (versions) => {
    for (const id of warmed.keys()) if (!versions.some((version) => version.id === id)) warmed.delete(id);
    if (versions.every(({ id }) => warmed.get(id))) return;
    const { promise: late, resolve } = Promise.withResolvers<'late'>();
    const timer = setTimeout(resolve, WITHIN_MS, 'late');
    const ended = await Promise.race([warmCold(versions), late]);
    clearTimeout(timer);
    if (ended !== 'late') return;
    for (const { id } of versions.filter((version) => !warmed.get(version.id))) {
      log.warn('reads.not_warmed', { modelVersionId: id, error: `not within ${WITHIN_MS} ms` });
    }
  };
}
