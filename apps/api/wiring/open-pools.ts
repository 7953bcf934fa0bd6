/**
 * The connections of an API to Postgres: those of any reading process, and separate ones for work that requests must
 * not wait for: model files, explanations and shadows.
 */
import { API_CONNECTIONS } from '@tandem/config/environment/environment-sections';
import { openReadingPools, poolOpener, roomOf } from '@tandem/embedded/open-pools';
import type { DatabasePaths } from '@tandem/offline-store/sql/paths';

/**
 * Used after replies, for shadows and explanations. A slow statement delays only the next one, which waits that long.
 */
const BACKGROUND = Object.freeze({ max: 1, statementTimeoutMs: 2_000, lockTimeoutMs: 500, connectTimeoutMs: 2_500 });
/** A trial's reads and a file transfer have more time. One trial or comparison at a time. */
const MODELS = Object.freeze({ max: 3, statementTimeoutMs: 30_000, lockTimeoutMs: 5_000 });
const MODEL_FEATURES = 2;
/** Connections of pools that only an API has. */
const BESIDE_READS = 2 * BACKGROUND.max + MODELS.max + MODEL_FEATURES;

export type ApiPools = ReturnType<typeof openPools>;

/**
 * @param most connections of all pools together; the rest beside the others is for requests and their feature
 * statements
 */
export function openPools(paths: DatabasePaths, most: number = API_CONNECTIONS) {
  const { pool, features, vital, directUrl, throughPooler } = openReadingPools(paths, {
    kind: 'api',
    most: most - BESIDE_READS,
  });
  const { open, openFeatures } = poolOpener(paths, 'api');
  const pools = {
    ...{ pool, features, vital },
    background: open('-background', BACKGROUND),
    backgroundFeatures: openFeatures('-background', BACKGROUND),
    models: open('-models', MODELS),
    modelFeatures: openFeatures('-models', { ...MODELS, max: MODEL_FEATURES }),
  };
  return { ...pools, directUrl, throughPooler, ...roomOf(paths, Object.values(pools)) };
}
