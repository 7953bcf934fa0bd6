/**
 * The connections of an API to Postgres. They are the connections of any reading process, and separate connections for
 * work that must not delay requests: model files, explanations and shadows.
 */
import { API_CONNECTIONS } from '@tandem/config/environment/environment-sections';
import { openReadingPools, poolOpener, roomOf, withLimit } from '@tandem/embedded/open-pools';
import type { DatabasePaths } from '@tandem/offline-store/sql/paths';

/** The pool for work after replies: shadows and explanations. A slow statement delays only the next one. */
const BACKGROUND = Object.freeze({ max: 1, statementTimeoutMs: 2_000, lockTimeoutMs: 500, connectTimeoutMs: 2_500 });
/** The pool for trials and file transfers, whose statements have more time. One trial or comparison runs at a time. */
const MODELS = Object.freeze({ max: 3, statementTimeoutMs: 30_000, lockTimeoutMs: 5_000 });
const MODEL_FEATURES = 2;
/** The connections of pools that only an API has. */
const BESIDE_READS = 2 * BACKGROUND.max + MODELS.max + MODEL_FEATURES;

export type ApiPools = ReturnType<typeof openPools>;

/**
 * Opens the pools of an API.
 * @param most the most connections of all pools together; connections that the other pools do not need are for requests
 * and their feature statements
 * @param limitMs the time limit of statements, except those of trials and file transfers; default: a limit for each
 * pool
 */
export function openPools(paths: DatabasePaths, most: number = API_CONNECTIONS, limitMs?: number) {
  const { pool, features, vital, directUrl, throughPooler } = openReadingPools(paths, {
    kind: 'api',
    most: most - BESIDE_READS,
    limitMs,
  });
  const { open, openFeatures } = poolOpener(paths, 'api');
  const limited = withLimit(BACKGROUND, limitMs);
  const pools = {
    ...{ pool, features, vital },
    background: open('-background', limited),
    backgroundFeatures: openFeatures('-background', limited),
    models: open('-models', MODELS),
    modelFeatures: openFeatures('-models', { ...MODELS, max: MODEL_FEATURES }),
  };
  const afterReplies = { pool: pools.background, features: pools.backgroundFeatures };
  return { ...pools, afterReplies, directUrl, throughPooler, ...roomOf(paths, Object.values(pools)) };
}
