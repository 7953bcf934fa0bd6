/**
 * The connections of an API to Postgres, in pools by what must not wait for what: requests never wait for the process's own
 * signs of life and keys, nor for model files, explanations and shadows. Each opens connections as it needs them.
 */
import { API_CONNECTIONS } from '@tandem/config/environment/environment-sections';
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { directRoom } from '@tandem/offline-store/rollouts/connection-room';
import { createPool } from '@tandem/offline-store/sql/database';
import { type DatabasePaths, DIRECT, leadsThroughPooler } from '@tandem/offline-store/sql/paths';
import { WARM_CONNECTIONS } from './keep-loaded.ts';

/** Milliseconds that bound each request: a database that hangs costs it a 503 within seconds. */
const REQUESTS = Object.freeze({ statementTimeoutMs: 5_000, lockTimeoutMs: 2_000 });
/** Statements that are sent again each second or two. */
const VITAL = Object.freeze({ max: 1, statementTimeoutMs: 1_000, lockTimeoutMs: 1_000 });
/** After replies, for shadows and explanations. One that is slow costs the next its time, and no more: it waits for that long. */
const BACKGROUND = Object.freeze({ max: 1, statementTimeoutMs: 2_000, lockTimeoutMs: 500, connectTimeoutMs: 2_500 });
/** A trial's reads and a file on its way have more time. One trial or comparison at a time. */
const MODELS = Object.freeze({ max: 3, statementTimeoutMs: 30_000, lockTimeoutMs: 5_000 });
const MODEL_FEATURES = 2;
/** Two at work, and as many that take the place of broken ones (authority.ts, which opens them). */
const CERTIFICATES = 4;
const FIXED = CERTIFICATES + VITAL.max + 2 * BACKGROUND.max + MODELS.max + MODEL_FEATURES;

export type ApiPools = ReturnType<typeof openPools>;

/** @param most connections of all pools together; what the others leave is for requests and their feature statements */
export function openPools(paths: DatabasePaths, most: number = API_CONNECTIONS) {
  const { url, directUrl = url } = paths;
  const throughPooler = leadsThroughPooler(url, paths);
  const open = (name: string, limits: object) =>
    createPool({ url, throughPooler, applicationName: `tandem-api${name}`, ...limits });
  const openFeatures = (name: string, limits: object) =>
    createFeaturePool(paths, { applicationName: `tandem-api${name}-features`, ...limits });
  const direct = throughPooler ? { url: directUrl, throughPooler: false, variable: DIRECT } : {};
  const forFeatures = Math.floor((most - FIXED) / 2);
  const pools = {
    pool: open('', { ...REQUESTS, max: most - FIXED - forFeatures }),
    // Of their own, also where there is one login: nothing that a query does to its session meets another statement.
    features: openFeatures('', { ...REQUESTS, max: forFeatures, min: WARM_CONNECTIONS }),
    vital: open('-vital', { ...VITAL, ...direct }),
    background: open('-background', BACKGROUND),
    backgroundFeatures: openFeatures('-background', BACKGROUND),
    models: open('-models', MODELS),
    modelFeatures: openFeatures('-models', { ...MODELS, max: MODEL_FEATURES }),
  };
  return {
    ...pools,
    directUrl,
    throughPooler,
    room: directRoom(paths, Object.values(pools), CERTIFICATES),
    close: () => Promise.all(Object.values(pools).map((pool) => pool.end())),
  };
}
