/**
 * Opens the connection pools of a reading process to Postgres. They are separate, so that the process's heartbeat never
 * waits for reads. Each pool opens connections on demand.
 */
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { directRoom } from '@tandem/offline-store/processes/connection-room';
import { createPool, type PoolOptions } from '@tandem/offline-store/sql/database';
import { type DatabasePaths, DIRECT, leadsThroughPooler } from '@tandem/offline-store/sql/paths';
import { WARM_CONNECTIONS } from './keep-loaded.ts';

/** Time limits in ms for the statements of a request. If the database hangs, a request gets a 503 within seconds. */
const REQUESTS = Object.freeze({ statementTimeoutMs: 5_000, lockTimeoutMs: 2_000 });
/** Limits for statements that are repeated every second or two. */
const VITAL = Object.freeze({ max: 1, statementTimeoutMs: 1_000, lockTimeoutMs: 1_000 });
/** Connections for certificates: two in use, and two to replace broken ones (opened by authority.ts). */
const CERTIFICATES = 4;
/** The number of connections that do not depend on the limit. */
const FIXED = CERTIFICATES + VITAL.max;
/** The smallest limit: it leaves two connections for reads, and two for feature statements. */
export const LEAST_CONNECTIONS = FIXED + 4;

type PoolLimits = Pick<PoolOptions, 'statementTimeoutMs' | 'lockTimeoutMs' | 'connectTimeoutMs'>;
type PoolOf = ReturnType<typeof createPool>;
export type ReadingPools = ReturnType<typeof openReadingPools>;

interface ReadingPoolsOptions {
  /** The program, which names its connections: `api` or `embedded`. */
  readonly kind: string;
  /** The most connections of all pools together. Of those that are not fixed, half are for feature statements. */
  readonly most: number;
  /** The time limit of statements and of waits for locks and connections, in ms. Default: a limit for each pool. */
  readonly limitMs?: number | undefined;
}

/**
 * Returns the limits of a pool. With `limitMs`, it is the time limit of a statement, of a wait for a lock and of a wait
 * for a connection.
 */
export function withLimit<L extends PoolLimits>(limits: L, limitMs: number | undefined): L & PoolLimits {
  if (limitMs === undefined) return limits;
  return { ...limits, statementTimeoutMs: limitMs, lockTimeoutMs: limitMs, connectTimeoutMs: limitMs };
}

/** Returns functions that open pools of one program, directly or through a pooler. */
export function poolOpener(paths: DatabasePaths, kind: string) {
  const { url } = paths;
  const throughPooler = leadsThroughPooler(url, paths);
  return {
    open: (name: string, limits: object) =>
      createPool({ url, throughPooler, applicationName: `tandem-${kind}${name}`, ...limits }),
    openFeatures: (name: string, limits: object) =>
      createFeaturePool(paths, { applicationName: `tandem-${kind}${name}-features`, ...limits }),
  };
}

export function openReadingPools(paths: DatabasePaths, { kind, most, limitMs }: ReadingPoolsOptions) {
  const { url, directUrl = url } = paths;
  const throughPooler = leadsThroughPooler(url, paths);
  const { open, openFeatures } = poolOpener(paths, kind);
  const direct = throughPooler ? { url: directUrl, throughPooler: false, variable: DIRECT } : {};
  const forFeatures = Math.floor((most - FIXED) / 2);
  const requests = withLimit(REQUESTS, limitMs);
  const pools = {
    pool: open('', { ...requests, max: most - FIXED - forFeatures }),
    // A separate pool, even with a single login: changes that a feature query makes to its session affect no other
    // statement.
    features: openFeatures('', { ...requests, max: forFeatures, min: WARM_CONNECTIONS }),
    vital: open('-vital', { ...withLimit(VITAL, limitMs), ...direct }),
  };
  return { ...pools, directUrl, throughPooler, ...roomOf(paths, Object.values(pools)) };
}

/** Returns the number of connections that Postgres must allow, and functions that close the pools. */
export function roomOf(paths: DatabasePaths, pools: readonly PoolOf[]) {
  return {
    room: directRoom(paths, pools, CERTIFICATES),
    close: () => Promise.all(pools.map((pool) => pool.end())),
  };
}
