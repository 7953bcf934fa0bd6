/**
 * Fixture of the integration tests: the API with a separate database, a separate key prefix, and a small real model:
 * `repurchase`, sigmoid(orders / 2 - recency / 10), over the table `customers`.
 */

import { createHash, randomUUID } from 'node:crypto';
import { encodeOutputs } from '@tandem/freshness/outputs';
import type { FreshnessPolicy } from '@tandem/freshness/predictor';
import { createHostRule } from '@tandem/http-server/foreign-request';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { type HostileDefaults, setDefaults } from '@tandem/offline-store/hostile-defaults.fixture';
import { createPool } from '@tandem/offline-store/sql/database';
import { findCount } from '@tandem/offline-store/sql/settings';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { createServerConnection } from '@tandem/online-store/connection';
import { createErasures } from '@tandem/online-store/erasures';
import { createCount } from '@tandem/online-store/told-counts';
import { createKeepErased } from '@tandem/prediction/erasure/keep-erased';
import { scoredUsers } from '@tandem/prediction/runs/scored-users';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { createKeepWithdrawals } from '@tandem/prediction/runs/withdrawals';
import { silentLog } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { cloneDatabase } from '@tandem/testing/databases';
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { inject } from 'vitest';
import { type App, createApp } from './app.ts';
import { type CuttableConnection, startCuttableConnection } from './cuttable-connection.fixture.ts';
import { type ApiDependencies, createDependencies } from './dependencies.ts';
import type { ApiSettings } from './wiring/api-settings.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
    redisUrl: string;
  }
}

export interface TestApi {
  readonly app: App;
  readonly dependencies: ApiDependencies;
  readonly pool: ReturnType<typeof createPool>;
  readonly databaseUrl: string;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Sends a body as JSON. A string is sent unchanged. */
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /**
   * Runs a worker's rounds that write the counts of erasures and withdrawals to Redis. Without them, the API serves no
   * unverified answer.
   */
  keepCounts(): Promise<void>;
  /** The API's connections to Postgres. `pool` does not use them. */
  readonly postgres: CuttableConnection;
  close(): Promise<void>;
}

const WEIGHTS = [-0.1, 0.5] as const;
/** Milliseconds; long enough for a busy machine. These tests check answers, and other tests check the time limits. */
const PATIENCE_MS = 20_000;

/** Customers 1 to 9. Their recency is 10 × id, and their orders are id. */
const CUSTOMERS = `
  create table customers (user_id bigint primary key, recency double precision not null, orders int not null,
    loaded_at timestamptz not null);
  insert into customers select n, n * 10, n, now() - interval '1 hour' from generate_series(1, 9) n`;

interface DatabaseBefore {
  readonly defaults?: HostileDefaults;
  readonly prepare?: (pool: TestApi['pool']) => Promise<unknown>;
  /** Whether the cuttable connection `postgres` acts as the pooler. If so, the direct address is that of the server. */
  readonly hasPooler?: boolean;
}

/**
 * Creates the API with a separate database and starts it.
 * @param redisUrl default: the Redis of the tests; it may be unreachable
 * @param answerCache the prediction memory; default: none
 * @param more API keys (default: off), a log (default: none), and further parts of readiness
 * @param before the database's session defaults, and its contents before the API starts
 */
export async function createTestApi(
  freshness: Partial<FreshnessPolicy> = {},
  redisUrl: string = inject('redisUrl'),
  answerCache = { megabytes: 0 },
  more: Partial<
    Pick<ApiSettings, 'keys' | 'keysEveryMs' | 'log' | 'logShare' | 'extensions' | 'observers' | 'parts' | 'uploads'>
  > = {},
  before: DatabaseBefore = {},
): Promise<TestApi> {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  if (before.defaults) await setDefaults(database.url, before.defaults);
  const pool = createPool({ url: database.url, max: 4, applicationName: 'api-test' });
  await pool.query(CUSTOMERS);
  await adopt(pool, { predictors: [repurchase(freshness)], actor: 'test' });
  await before.prepare?.(pool);
  const postgres = await startCuttableConnection(database.url);
  const prefix = `test-${randomUUID()}`;
  const dependencies = await createDependencies({
    database: {
      url: postgres.url,
      ...(before.hasPooler ? { directUrl: database.url } : {}),
      certifyWithinMs: PATIENCE_MS,
    },
    redis: { url: redisUrl, queueUrl: redisUrl, commandTimeoutMs: PATIENCE_MS },
    inference: { processes: 1, memoryMb: 512, queueLimit: 256 },
    answerCache,
    log: silentLog,
    metrics: createMetrics({ app: 'api', processMetrics: false }),
    servesMetrics: true,
    isOurHost: createHostRule(['127.0.0.1']),
    prefix,
    limitMs: PATIENCE_MS,
    ...more,
  });
  const app = createApp(dependencies.app);
  return {
    app,
    dependencies,
    pool,
    databaseUrl: database.url,
    get: async (path, headers = {}) => app.request(path, { headers }),
    post: async (path, body, headers = {}) =>
      app.request(path, { method: 'POST', headers: headersFor(body, headers), ...bodyOf(body) }),
    postgres,
    async keepCounts() {
      const connection = createServerConnection({ url: redisUrl, log: () => {}, commandTimeoutMs: PATIENCE_MS });
      await connection.whenReady(PATIENCE_MS);
      await createKeepErased({
        store: createErasureStore(pool),
        online: createErasures({ connection, prefix }),
      }).round();
      const countWithdrawals = () => findCount(pool, 'withdrawals');
      await createKeepWithdrawals({ countWithdrawals, online: createCount('withdrawals', { connection, prefix }) })();
      connection.close();
    },
    async close() {
      await dependencies.close();
      await postgres.close();
      await pool.end();
      await database.drop();
    },
  };
}

/** Returns the model's score of a customer. */
export function scoreOf(recency: number, orders: number): number {
  return linearScore(WEIGHTS, 0, [recency, orders]);
}

function headersFor(body: unknown, headers: Readonly<Record<string, string>>): Record<string, string> {
  return body === undefined ? { ...headers } : { 'content-type': 'application/json', ...headers };
}

function bodyOf(body: unknown): { body?: string } {
  if (body === undefined) return {};
  return { body: typeof body === 'string' ? body : JSON.stringify(body) };
}

/** Does the work of a worker for a run: plans it, scores its chunks and publishes it. */
export async function workOff({ pool, dependencies }: TestApi, runId: string): Promise<void> {
  const { runs, registry } = dependencies.app;
  const features = createFeatureSource(pool);
  const run = await planNow(runs, runId);
  const version = await registry.modelVersion(run.modelVersionId);
  for (const { no } of await runs.claimable(runId, 100)) {
    const chunk = await runs.claim(runId, no, 10_000);
    if (!chunk || 'failed' in chunk) continue;
    const batch =
      'range' in chunk.part
        ? await features.readRange(version, chunk.part.range)
        : (await features.readUsers(version, chunk.part.userIds)).batch;
    const data = batch.userIds.map((_, row) => scoreOf(Number(batch.values[0]?.[row]), Number(batch.values[1]?.[row])));
    const scored = batch.userIds.map((userId, row) => ({
      userId,
      contextVersion: batch.contextVersions[row] ?? 0,
      outputs: encodeOutputs(version.outputs, { score: { data, width: 1 } }, row),
    }));
    await runs.commit(run, chunk, {
      history: batch.history,
      computedAt: batch.readAt,
      scored: scoredUsers(scored),
      failures: [],
    });
  }
  await publishNow(runs, runId);
}

export function repurchase(freshness: Partial<FreshnessPolicy> = {}): PredictorToAdopt {
  const artifact = linearModel({ weights: WEIGHTS });
  return {
    name: 'repurchase',
    artifact,
    policy: {
      freshness: {
        maxAgeMs: 3_600_000,
        live: true,
        liveTimeoutMs: PATIENCE_MS,
        onLiveFailure: 'stale',
        unverified: true,
        default: { score: 0.2 },
        events: ['order.*'],
        ...freshness,
      },
      batch: { schedule: null, chunkSize: 4, minCoverage: 0.5 },
    },
    definition: {
      predictor: 'repurchase',
      artifactHash: createHash('sha256').update(artifact).digest('hex'),
      keyType: 'int8',
      query: {
        sql: 'select user_id, recency, orders, loaded_at from customers',
        columns: [
          { name: 'recency', kind: 'number' },
          { name: 'orders', kind: 'integer' },
        ],
        asOf: 'loaded_at',
        overlayForMs: null,
      },
      inputs: [{ name: 'features', type: 'float32', columns: ['recency', 'orders'] }],
      outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
    },
  };
}
