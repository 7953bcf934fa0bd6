/**
 * A small world for tests of the freshness rule: real Postgres, real Redis, real inference, and a predictor whose score
 * is the count of a user's changes. The score shows the features from which an answer was computed, independently of
 * its label.
 */

import { createHash, randomUUID } from 'node:crypto';
import { NOTHING_LOST } from '@tandem/freshness/lost-past.fixture';
import { createPredictionMemory } from '@tandem/freshness/prediction-memory';
import { createPredictionReader, type PredictionReaderDependencies } from '@tandem/freshness/reader';
import { createInferencePool } from '@tandem/inference/live/pool';
import { adopt } from '@tandem/offline-store/adopt';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import { createPlainAuthority } from '@tandem/offline-store/certificate/plain-authority';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createRegistry } from '@tandem/offline-store/models/registry';
import { createOverlayStore as createOfflineOverlay } from '@tandem/offline-store/reads/overlay';
import { createStoredPredictions } from '@tandem/offline-store/reads/predictions';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool } from '@tandem/offline-store/sql/database';
import { patientFeatures } from '@tandem/offline-store/store.fixture';
import { OnlineGenerationLoader } from '@tandem/online-store/generation-loader';
import { createOverlayStore } from '@tandem/online-store/overlay-store';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import { connectTo } from '@tandem/online-store/redis.fixture';
import { createLivePredictor } from '@tandem/prediction/live/live-prediction';
import { refreshUsers } from '@tandem/prediction/refresh/refresh-pass';
import { createRunChunk } from '@tandem/prediction/runs/run-chunk';
import type { RunScope } from '@tandem/prediction/runs/runs';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { echoModel } from '@tandem/testing/onnx-models';
import { createHintStore } from '../../libs/online-store/overlay-store.ts';

export const PREDICTOR = 'count';
export const USERS = ['1', '2', '3', '4', '5'];
/** The time limit of each part of a read. It allows for a busy machine. */
const PATIENCE_MS = 20_000;

/** A function that wraps a port, so that a test decides when calls are sent and answers arrive. */
export type Delay = <T extends object>(name: string, port: T) => T;

export async function createWorld(databaseUrl: string, redisUrl: string) {
  const limits = { connectTimeoutMs: PATIENCE_MS };
  const pool = createPool({ url: databaseUrl, max: 24, applicationName: 'freshness-test', ...limits });
  const prefix = `freshness-${randomUUID()}`;
  const { connection } = await connectTo(redisUrl);
  const inference = createInferencePool({
    loadArtifact: createRegistry(pool).loadArtifact,
    log: () => {},
    processes: 1,
  });
  const model = echoModel('float32', 1);
  await pool.query(`create table counts (user_id bigint primary key, changes int not null)`);
  await pool.query(`insert into counts select n, 0 from generate_series(1, ${USERS.length}) n`);
  const adoptModel = (sql: string) => adopt(pool, { actor: 'test', predictors: [predictorOf(model, sql)] });
  await adoptModel('select user_id, changes from counts');
  return { pool, prefix, connection, inference, adoptModel };
}

export type World = Awaited<ReturnType<typeof createWorld>>;

function predictorOf(model: Buffer, sql: string) {
  return {
    name: PREDICTOR,
    artifact: model,
    policy: {
      freshness: {
        maxAgeMs: null,
        live: true,
        liveTimeoutMs: PATIENCE_MS,
        onLiveFailure: 'stale' as const,
        unverified: true,
        default: null,
        events: ['*'],
      },
      batch: { schedule: null, chunkSize: 2, minCoverage: 1 },
    },
    definition: {
      predictor: PREDICTOR,
      artifactHash: createHash('sha256').update(model).digest('hex'),
      keyType: 'int8' as const,
      query: { sql, columns: [{ name: 'changes', kind: 'integer' as const }], asOf: null, overlayForMs: null },
      inputs: [{ name: 'features', type: 'float32' as const, columns: ['changes'] }],
      outputs: [{ name: 'score', output: 'score', type: 'float32' as const, width: null, index: 0 }],
    },
  };
}

/** Creates a process of the service with its own connections and prediction memory. */
export function createService({ pool, prefix, connection, inference }: World, delay: Delay) {
  const authority = createAuthority(pool, { timeoutMs: PATIENCE_MS });
  const registry = createRegistry(pool);
  const overlay = delay('overlay', createOverlayStore({ connection, prefix }));
  const features = delay('features', patientFeatures(pool));
  const offlineOverlay = createOfflineOverlay(pool);
  const live = createLivePredictor({
    features,
    scorer: delay('scorer', inference),
    overlay,
    keepLater: (entries) => void offlineOverlay.put(entries).catch(() => {}),
    keepNow: offlineOverlay.put,
  });
  const parts: PredictionReaderDependencies = {
    authority: delay('authority', authority),
    registry,
    online: delay('online', createOnlinePredictions({ connection, prefix, log: () => {} })),
    offline: delay('offline', createStoredPredictions(pool)),
    live,
    lostPast: NOTHING_LOST,
    memory: createPredictionMemory({ maxBytes: 1e6 }),
  };
  return { read: createPredictionReader(parts), close: () => authority.close() };
}

/** Creates a worker that re-scores. It has no windows, so the order of steps decides how often a user is inferred. */
export function createRescorer({ pool, prefix, connection, inference }: World, delay: Delay) {
  const registry = createRegistry(pool);
  const offlineOverlay = createOfflineOverlay(pool);
  const live = createLivePredictor({
    features: delay('features', patientFeatures(pool)),
    scorer: delay('scorer', inference),
    overlay: delay('overlay', createOverlayStore({ connection, prefix })),
    keepLater: (entries) => void offlineOverlay.put(entries).catch(() => {}),
    keepNow: offlineOverlay.put,
    refreshes: true,
  });
  const parts = {
    authority: delay('authority', createPlainAuthority(pool)),
    registry,
    online: delay('online', createOnlinePredictions({ connection, prefix, log: () => {} })),
    offline: delay('offline', createStoredPredictions(pool)),
    lostPast: NOTHING_LOST,
    windows: { take: async (_predictor: string, userIds: readonly string[]) => userIds.map(() => 0) },
    live,
  };
  return async (userIds: readonly string[]): Promise<void> => {
    const predictor = await registry.predictor(PREDICTOR);
    if (predictor) await refreshUsers(parts, predictor, userIds);
  };
}

/** Creates the writers: the application, a worker and operators. */
export function createWriters(world: World, delay: Delay) {
  const { pool, prefix, connection, inference } = world;
  const runs = delay('runs', createRunStore(pool));
  const generations = createGenerationStore(pool);
  const loader = delay('loader', new OnlineGenerationLoader({ connection, prefix }));
  const hints = { plan: async () => {}, chunks: async () => {}, publish: async () => {}, load: async () => {} };
  const runChunk = createRunChunk({
    runs,
    generations,
    loader,
    hints,
    overlay: delay('overlay', createOverlayStore({ connection, prefix })),
    features: delay('features', patientFeatures(pool)),
    scorer: inference,
    registry: createRegistry(pool),
    lease: { leaseMs: 60_000, renewMs: 20_000 },
  });
  const events = createEventStore(pool);
  const userHints = createHintStore({ connection, prefix });
  // A predictor has one plan and one publication at a time. No reconciler runs here to retry a run that could not claim
  // a step.
  let turn: Promise<unknown> = Promise.resolve();
  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const mine = turn.then(step);
    turn = mine.catch(() => {});
    return mine;
  }

  return {
    /** Changes a user and inserts an event in one SQL transaction. Resolves with the user's new count. */
    async changeBySql(userId: string): Promise<number> {
      const { rows } = await pool.query<{ changes: number }>(
        `with changed as (update counts set changes = changes + 1 where user_id = $1::bigint returning changes),
           told as (insert into tandem.events (user_id) values ($1::text))
         select changes from changed`,
        [userId],
      );
      return rows[0]?.changes ?? 0;
    },
    /** Commits a change, then sends the event over the API. Resolves with the acknowledged version. */
    async changeByEvent(userId: string): Promise<number> {
      await pool.query('update counts set changes = changes + 1 where user_id = $1::bigint', [userId]);
      const event = { source: 'test', id: randomUUID(), type: 'changed', userId, time: null, data: null };
      const [result] = await events.accept([event]);
      const [history = '', version = ''] = (result?.contextToken ?? '').split('.');
      void userHints.raise([{ userId, history, version: Number(version) }]).catch(() => {});
      return result?.contextVersion ?? 0;
    },
    /** Runs all chunks of a run. Returns null if another run of all users is in progress. */
    async run(scope: RunScope) {
      const asked = await runs
        .create({ predictor: PREDICTOR, scope, reason: 'test', scheduleSlot: null })
        .catch(() => null);
      if (!asked) return null;
      const planned = await inTurn(() => planNow(runs, asked.run.id));
      for (let no = 0; no < planned.chunkCount; no++) await runChunk(planned.id, no);
      return inTurn(() => publishNow(runs, planned.id));
    },
    /** Rolls back to the previous generation. Resolves with its number, or null if there is none. */
    rollBack: async () =>
      generations.rollBack({ predictor: PREDICTOR, to: null, actor: 'test' }).then(
        ({ to }) => to.number,
        () => null,
      ),
    /** Deletes all keys of this world from Redis. */
    async loseRedis(): Promise<void> {
      const keys = await connection.redis.keys(`${prefix}:*`);
      if (keys.length > 0) await connection.redis.del(...keys);
    },
    /** Copies the data in Redis. Returns a function that restores this copy. */
    async snapshotRedis(): Promise<() => Promise<void>> {
      const keys = await connection.redis.keys(`${prefix}:*`);
      const dumps = await Promise.all(keys.map((key) => connection.redis.dumpBuffer(key)));
      return async () => {
        await this.loseRedis();
        await Promise.all(
          keys.map((key, i) => {
            const dump = dumps[i];
            return dump ? connection.redis.restore(key, 0, dump, 'REPLACE') : null;
          }),
        );
      };
    },
  };
}
