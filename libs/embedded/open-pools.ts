/**
 * The connections of a reading process to Postgres, in separate pools so that reads never wait for the process's heartbeat.
 * Each pool opens connections as it needs them.
 */
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { directRoom } from '@tandem/offline-store/rollouts/connection-room';
import { createPool } from '@tandem/offline-store/sql/database';
import { type DatabasePaths, DIRECT, leadsThroughPooler } from '@tandem/offline-store/sql/paths';
import { WARM_CONNECTIONS } from './keep-loaded.ts';

/** Milliseconds that bound each request: a database that hangs costs it a 503 within seconds. */
const REQUESTS = Object.freeze({ statementTimeoutMs: 5_000, lockTimeoutMs: 2_000 });
/** Statements that are sent again each second or two. */
const VITAL = Object.freeze({ max: 1, statementTimeoutMs: 1_000, lockTimeoutMs: 1_000 });
/** Two at work, and two to replace broken connections (opened by authority.ts). */
const CERTIFICATES = 4;
/** The fixed number of connections, independent of the limit. */
const FIXED = CERTIFICATES + VITAL.max;
/** The least number: two connections for reads, and two for feature statements. */
export const LEAST_CONNECTIONS = FIXED + 4;

type PoolOf = ReturnType<typeof createPool>;
export type ReadingPools = ReturnType<typeof openReadingPools>;

interface ReadingPoolsOptions {
  /** The program, which names its connections: `api` or `embedded`. */
  readonly kind: string;
  /** Connections of all pools together; half of what the fixed ones leave is for feature statements. */
  readonly most: number;
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

export function openReadingPools(paths: DatabasePaths, { kind, most }: ReadingPoolsOptions) {
  const { url, directUrl = url } = paths;
  const throughPooler = leadsThroughPooler(url, paths);
  const { open, openFeatures } = poolOpener(paths, kind);
  const direct = throughPooler ? { url: directUrl, throughPooler: false, variable: DIRECT } : {};
  const forFeatures = Math.floor((most - FIXED) / 2);
  const pools = {
    pool: open('', { ...REQUESTS, max: most - FIXED - forFeatures }),
    // Of their own, also where there is one login: nothing that a query does to its session meets another statement.
    features: openFeatures('', { ...REQUESTS, max: forFeatures, min: WARM_CONNECTIONS }),
    vital: open('-vital', { ...VITAL, ...direct }),
  };
  return { ...pools, directUrl, throughPooler, ...roomOf(paths, Object.values(pools)) };
}

/** Returns the connections that Postgres needs room for, and how to close the pools. */
export function roomOf(paths: DatabasePaths, pools: readonly PoolOf[]) {
  return {
    room: directRoom(paths, pools, CERTIFICATES),
    close: () => Promise.all(pools.map((pool) => pool.end())),
  };
}
