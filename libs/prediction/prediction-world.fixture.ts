/**
 * The world of the use cases' integration tests: real Postgres, Redis and inference. The predictor's score is a tenth
 * of the number of a user's changes, so an answer shows what it was computed from. A user with ten changes or more is
 * poison: the model refuses every batch with such a user.
 */

import { createHash, randomUUID } from 'node:crypto';
import { TandemError } from '@tandem/freshness/errors';
import { NOTHING_LOST } from '@tandem/freshness/lost-past.fixture';
import type { BatchPolicy, FeatureQuery, FreshnessPolicy } from '@tandem/freshness/predictor';
import { createPredictionReader, type PredictionReaderDependencies } from '@tandem/freshness/reader';
import { STABLE } from '@tandem/freshness/rollout';
import { createInferencePool } from '@tandem/inference/live/pool';
import { adopt } from '@tandem/offline-store/adopt';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createRegistry } from '@tandem/offline-store/models/registry';
import { createOverlayStore as createOverlayRows } from '@tandem/offline-store/reads/overlay';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool } from '@tandem/offline-store/sql/database';
import { findCount } from '@tandem/offline-store/sql/settings';
import { patientFeatures, patientPredictions } from '@tandem/offline-store/store.fixture';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { createErasures } from '@tandem/online-store/erasures';
import { OnlineGenerationLoader } from '@tandem/online-store/generation-loader';
import { createOverlayStore } from '@tandem/online-store/overlay-store';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import { connectTo } from '@tandem/online-store/redis.fixture';
import { createCount } from '@tandem/online-store/told-counts';
import { cloneDatabase } from '@tandem/testing/databases';
import { loopModel, tableModel } from '@tandem/testing/onnx-models';
import { inject } from 'vitest';
import { createKeepErased } from './erasure/keep-erased.ts';
import { createLivePredictor, type LivePredictorDependencies } from './live/live-prediction.ts';
import type { Budget } from './runs/budget.ts';
import type { GenerationLoader } from './runs/online-generations.ts';
import { type ChunkReport, createRunChunk, type RunChunkDependencies } from './runs/run-chunk.ts';
import type { Run, RunScope } from './runs/runs.ts';
import { planNow, publishNow } from './runs/steps.fixture.ts';
import { createConfirming, createKeepWithdrawals } from './runs/withdrawals.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
    redisUrl: string;
  }
}

export const PREDICTOR = 'changes';
const MODEL = tableModel();
const QUIET = { plan: async () => {}, chunks: async () => {}, publish: async () => {}, load: async () => {} };

const FRESHNESS: FreshnessPolicy = {
  maxAgeMs: 3_600_000,
  live: true,
  liveTimeoutMs: 10_000,
  onLiveFailure: 'stale',
  unverified: true,
  default: null,
  events: ['*'],
};
const BATCH: BatchPolicy = { schedule: null, chunkSize: 20, minCoverage: 0 };

export type PredictionWorld = Awaited<ReturnType<typeof createPredictionWorld>>;

/** @param users the number of users, with ids from 1 and without changes */
export async function createPredictionWorld({ users }: { readonly users: number }) {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const pool = createPool({ url: database.url, max: 16, applicationName: 'prediction-test' });
  const prefix = `prediction-${randomUUID()}`;
  const { connection } = await connectTo(inject('redisUrl'));
  const registry = createRegistry(pool);
  const inference = createInferencePool({ loadArtifact: registry.loadArtifact, log: () => {}, processes: 1 });
  await pool.query('create table counts (user_id bigint primary key, changes int)');
  await pool.query('insert into counts select n, 0 from generate_series(1, $1::int) n', [users]);
  const authority = createAuthority(pool, { timeoutMs: 20_000 });

  const runs = createRunStore(pool);
  const countWithdrawals = () => findCount(pool, 'withdrawals');
  const onlineWithdrawals = createCount('withdrawals', { connection, prefix });
  const counting = { countWithdrawals, online: onlineWithdrawals };
  const confirming = createConfirming(counting);
  const stored = createGenerationStore(pool);
  const generations = {
    ...stored,
    rollBack: (...asked: Parameters<typeof stored.rollBack>) => confirming(() => stored.rollBack(...asked)),
  };
  const features = patientFeatures(pool);
  const overlay = createOverlayStore({ connection, prefix });
  const overlayRows = createOverlayRows(pool);
  const loader = new OnlineGenerationLoader({ connection, prefix });
  const online = createOnlinePredictions({ connection, prefix, log: () => {} });
  const erasures = createErasureStore(pool);
  const onlineErasures = createErasures({ connection, prefix });
  // The first worker's first round writes the count of erasures to Redis.
  const keepErased = createKeepErased({ store: erasures, online: onlineErasures });
  await keepErased.round();
  const keepWithdrawals = createKeepWithdrawals(counting);
  const lease = { leaseMs: 60_000, renewMs: 20_000 };
  const chunkParts = { runs, generations, loader, overlay, features, registry, scorer: inference, hints: QUIET, lease };

  async function adoptWith(
    freshness: Partial<FreshnessPolicy> = {},
    batch: Partial<BatchPolicy> = {},
    source: Partial<FeatureQuery> = {},
  ): Promise<void> {
    const policy = { freshness: { ...FRESHNESS, ...freshness }, batch: { ...BATCH, ...batch } };
    const read = { ...definition, query: { ...definition.query, ...source } };
    await adopt(pool, { actor: 'test', predictors: [{ name: PREDICTOR, artifact: MODEL, policy, definition: read }] });
    await keepWithdrawals();
  }
  await adoptWith();

  async function plan(scope: RunScope, variant = STABLE, budget: Budget | null = null): Promise<Run> {
    const asked = { predictor: PREDICTOR, scope, reason: 'test', scheduleSlot: null, variant, budget };
    const { run } = await runs.create(asked);
    return planNow(runs, run.id);
  }

  return {
    ...{
      pool,
      connection,
      authority,
      runs,
      generations,
      features,
      overlay,
      overlayRows,
      loader,
      online,
      registry,
      inference,
      erasures,
      onlineErasures,
      keepErased,
      countWithdrawals,
      onlineWithdrawals,
      keepWithdrawals,
      prefix,
    },
    adoptWith,
    /** Adds the model version with number 2, which serves no users. Its scores are 0.5 above those of the first. */
    async addSecondVersion(): Promise<void> {
      const query = { ...definition.query, sql: 'select user_id, changes + 5 as changes from counts' };
      const policy = { freshness: FRESHNESS, batch: BATCH };
      const second = { name: PREDICTOR, artifact: MODEL, policy, definition: { ...definition, query } };
      await adopt(pool, { actor: 'test', predictors: [second] });
      await adoptWith();
      await pool.query(
        'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 2)',
      );
    },
    /** Adopts another model, which hangs on poison users, and re-scoring windows of a millisecond. */
    async adoptHanging(): Promise<void> {
      const artifact = loopModel();
      const freshness = { ...FRESHNESS, refresh: { withinMs: 1 } };
      const hanging = { ...definition, ...HANGING, artifactHash: createHash('sha256').update(artifact).digest('hex') };
      const predictor = { name: PREDICTOR, artifact, policy: { freshness, batch: BATCH }, definition: hanging };
      await adopt(pool, { actor: 'test', predictors: [predictor] });
    },
    /** Returns the reader of one process, with a separate registry. The arguments replace some of its parts. */
    createReader(
      reader: Partial<PredictionReaderDependencies> = {},
      live: Partial<LivePredictorDependencies> = {},
    ): ReturnType<typeof createPredictionReader> {
      const keepLater: LivePredictorDependencies['keepLater'] = (entries) =>
        void overlayRows.put(entries).catch(() => {});
      const keepNow = overlayRows.put;
      return createPredictionReader({
        authority,
        registry: createRegistry(pool),
        online,
        offline: patientPredictions(pool),
        lostPast: NOTHING_LOST,
        live: createLivePredictor({ features, scorer: inference, overlay, keepLater, keepNow, ...live }),
        ...reader,
      });
    },
    /** Changes a user a number of times, and inserts one event. */
    async change(userId: string, times = 1): Promise<void> {
      await pool.query(
        `with changed as (update counts set changes = changes + $2 where user_id = $1::bigint)
         insert into tandem.events (user_id) values ($1::text)`,
        [userId, times],
      );
    },
    /** Sets only the tombstone. No later read may answer from before it, whatever is still stored. */
    async erase(userId: string): Promise<void> {
      await erasures.setTombstone(userId);
    },
    async readmit(userId: string): Promise<void> {
      await erasures.readmit(userId);
    },
    async remove(userId: string): Promise<void> {
      await pool.query('delete from counts where user_id = $1::bigint', [userId]);
    },
    /** Plans a run that no worker knows of, and returns its id. */
    plan: async (scope: RunScope = { kind: 'all' }): Promise<string> => (await plan(scope)).id,
    /** Executes a run from start to end, in one worker. */
    async run(
      scope: RunScope,
      parts: Partial<
        RunChunkDependencies & { readonly loader: Pick<GenerationLoader, 'loadScored' | 'completeLoad'> }
      > = {},
      variant = STABLE,
      budget: Budget | null = null,
    ) {
      const run = await plan(scope, variant, budget);
      const runChunk = createRunChunk({ ...chunkParts, ...parts });
      const reports: ChunkReport[] = [];
      for (let no = 0; no < run.chunkCount; no++) reports.push(await runChunk(run.id, no));
      const outcome = await publishNow(runs, run.id, parts.loader ?? loader);
      return { runId: run.id, reports, outcome };
    },
    chunkParts,
    /** Deletes the Redis keys that start so after the prefix. */
    async loseKeys(start = ''): Promise<number> {
      const keys = await connection.redis.keys(`${prefix}:${start}*`);
      return keys.length === 0 ? 0 : connection.redis.del(...keys);
    },
    /** Copies the content of Redis. The returned function restores it. */
    async snapshot(): Promise<() => Promise<void>> {
      const keys = await connection.redis.keys(`${prefix}:*`);
      const dumps = await Promise.all(keys.map((key) => connection.redis.dumpBuffer(key)));
      return async () => {
        for (const key of await connection.redis.keys(`${prefix}:*`)) await connection.redis.del(key);
        for (const [i, key] of keys.entries()) await connection.redis.restore(key, 0, dumps[i] ?? '', 'REPLACE');
      };
    },
    keys: () => connection.redis.keys(`${prefix}:*`),
    async close() {
      await authority.close();
      await inference.close();
      const left = await connection.redis.keys(`${prefix}:*`);
      if (left.length > 0) await connection.redis.del(...left);
      connection.close();
      await pool.end();
      await database.drop();
    },
  };
}

const definition = {
  predictor: PREDICTOR,
  artifactHash: createHash('sha256').update(MODEL).digest('hex'),
  keyType: 'int8' as const,
  query: {
    sql: 'select user_id, changes from counts',
    columns: [{ name: 'changes', kind: 'integer' as const }],
    asOf: null,
    overlayForMs: null,
  },
  inputs: [{ name: 'features', type: 'float32' as const, columns: ['changes'] }],
  outputs: [{ name: 'score', output: 'score', type: 'float32' as const, width: null, index: 0 }],
};

const HANGING = {
  query: {
    ...definition.query,
    sql: 'select user_id, case when changes >= 10 then 2.0 ^ 62 else 0 end::float8 as turns, changes from counts',
    columns: [{ name: 'turns', kind: 'number' as const }, ...definition.query.columns],
  },
  inputs: [{ name: 'features', type: 'float32' as const, columns: ['turns', 'changes'] }],
};

/** Delays calls until it is opened, and reports the first call. */
export function createGate() {
  const come = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    arrived: come.promise,
    open: opened.resolve,
    async pass(): Promise<void> {
      come.resolve();
      await opened.promise;
    },
  };
}

/** Returns a result as a short text: `batch fresh 0.3`, or the code of an error. */
export function inShort(result: Awaited<ReturnType<ReturnType<typeof createPredictionReader>>>[number] | undefined) {
  if (!result) return 'nothing';
  if (result instanceof TandemError) return result.code;
  return `${result.source} ${result.reason} ${result.prediction.score}`;
}
