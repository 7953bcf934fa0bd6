/**
 * The connections of a worker to Postgres. Work that must not wait for other work has a separate pool. Pools open
 * connections on demand.
 */
import type { DatabaseSection, WorkerSection } from '@tandem/config/environment/environment-sections';
import { TandemError } from '@tandem/freshness/errors';
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { directRoom } from '@tandem/offline-store/processes/connection-room';
import { createPool } from '@tandem/offline-store/sql/database';
import { leadsThroughPooler } from '@tandem/offline-store/sql/paths';
import type { WorkerProcessSection } from './worker-section.ts';

/** Concurrent statements of one chunk: its work, and the renewal of its lease. */
const CONNECTIONS_A_CHUNK = 2;
/** Connections of the loops, of loads, and of the renewals of the leases of steps. */
const OTHER_CONNECTIONS = 6;
/** Connections for cancelling and for re-scoring, in addition to those of steps and chunks. */
const OTHER_FEATURE_CONNECTIONS = 2;
/**
 * Connections of re-scoring: `pool` for a pass and for the rows that it stores later, `features` for its feature
 * statement.
 */
const REFRESH = Object.freeze({ pool: 2, features: 1 });
const NO_REFRESH = Object.freeze({ pool: 0, features: 0 });
/** The pool for the heartbeats of this process, which must not wait when the other pools are exhausted. */
const VITAL = Object.freeze({ max: 1, statementTimeoutMs: 1_500, lockTimeoutMs: 1_500 });
const FIXED = OTHER_CONNECTIONS + OTHER_FEATURE_CONNECTIONS + VITAL.max;
/**
 * Connections of a plan and a publication. Each needs one connection for Tandem's statements and one for feature
 * statements.
 */
const CONNECTIONS_A_STEP = 4;
/**
 * How many plans run at once, and how many publications. A predictor has at most one of each, and both mostly wait for
 * Postgres. With several at once, the long plans of a few predictors delay no other predictor.
 */
const USUAL_STEPS = 4;
const MOST_STEPS = 8;

/**
 * Returns the size of each pool.
 * @param most the most connections of all pools together; throws if they are too few for chunks and re-scoring
 */
function sizesOf(chunkConcurrency: number, refreshShare: number, most?: number) {
  const refresh = refreshShare > 0 ? REFRESH : NO_REFRESH;
  const least = FIXED + refresh.pool + refresh.features + chunkConcurrency * (CONNECTIONS_A_CHUNK + 1);
  const steps =
    most === undefined ? USUAL_STEPS : Math.min(MOST_STEPS, Math.floor((most - least) / CONNECTIONS_A_STEP));
  if (steps < 1) {
    const whose = `CHUNK_CONCURRENCY ${chunkConcurrency} needs with REFRESH_SHARE ${refreshShare}`;
    const needed = `the ${least + CONNECTIONS_A_STEP} that ${whose}`;
    const remedy =
      'raise it for the worker, or lower CHUNK_CONCURRENCY; without re-scoring (REFRESH_SHARE=0) the worker needs 3 fewer';
    const field = 'DATABASE_CONNECTIONS';
    throw new TandemError('config_invalid', `${field} is ${most}, fewer than ${needed}.`, { field, remedy });
  }
  return {
    steps,
    pool: chunkConcurrency * CONNECTIONS_A_CHUNK + 2 * steps + OTHER_CONNECTIONS + refresh.pool,
    features: chunkConcurrency + 2 * steps + OTHER_FEATURE_CONNECTIONS + refresh.features,
  };
}

interface PoolSections {
  readonly database: DatabaseSection;
  readonly worker: WorkerSection;
  readonly workerProcess: Pick<WorkerProcessSection, 'refreshShare'>;
}

export type WorkerPools = ReturnType<typeof openPools>;

export function openPools({ database, worker, workerProcess }: PoolSections) {
  const { url, directUrl = url } = database;
  const throughPooler = leadsThroughPooler(url, database);
  const sizes = sizesOf(worker.chunkConcurrency, workerProcess.refreshShare, database.connections);
  const pool = createPool({ url, throughPooler, max: sizes.pool, applicationName: 'tandem-worker' });
  const features = createFeaturePool(database, { max: sizes.features, applicationName: 'tandem-worker-features' });
  const vital = createPool({ url: directUrl, applicationName: 'tandem-worker-vital', ...VITAL });
  return {
    ...{ pool, features, vital, steps: sizes.steps },
    room: directRoom(database, [pool, features, vital]),
    close: () => Promise.all([pool, features, vital].map((one) => one.end())),
  };
}
