/** Predictors for the benchmarks. Users have ids of 8 digits and 12 features between 0 and 1, which the model reads. */
import { createHash } from 'node:crypto';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import type { ModelMetadata } from '@tandem/prediction/models/verification';
import { linearModel } from '@tandem/testing/onnx-models';
import type { BenchServers } from './service.ts';

export const FEATURES: readonly string[] = Array.from({ length: 12 }, (_, i) => `f${i + 1}`);
/** The request features of a predictor whose calls give all features. */
export const GIVEN: readonly string[] = FEATURES.map((name) => `given_${name}`);
/** Ids go from here up to `FIRST_USER + users - 1`. */
export const FIRST_USER = 10_000_000;
/** The chunk size of a predictor whose config does not set one. */
const CHUNK_SIZE = 10_000;

export interface AdoptedUsers {
  /** The predictor; its features are in the table `<name>_features`. */
  readonly name: string;
  /** An ONNX model: `features` float32[N, 12] → `score` float32[N, 1]. */
  readonly artifact: Uint8Array;
  readonly users: number;
  readonly chunkSize?: number;
  readonly liveTimeoutMs?: number;
  /** Whether calls give the model all its features, as the request features `GIVEN`. */
  readonly isGiven?: boolean;
}

/**
 * The predictors adopted so far. An adoption must name all predictors of a service, so earlier ones are adopted again.
 */
const adopted = new WeakMap<BenchServers, Map<string, PredictorToAdopt>>();

/**
 * Makes the users with their features, and a predictor for these users. If the servers already have the predictor, it
 * gets the given model and limits, and keeps its users.
 */
export async function adoptPredictor(servers: BenchServers, predictor: AdoptedUsers): Promise<void> {
  const { name, users } = predictor;
  const known = adopted.get(servers) ?? new Map<string, PredictorToAdopt>();
  if (!known.has(name)) await makeUsers(servers, `${name}_features`, users);
  known.set(name, definitionOf(predictor));
  adopted.set(servers, known);
  await adopt(servers.pool, { actor: 'bench', predictors: [...known.values()] });
}

/**
 * Adopts the predictor `bench` with a linear model, and makes the table `baseline` for the baselines. May be called
 * again on the same servers.
 */
export async function adoptBench(servers: BenchServers, users: number, chunkSize = CHUNK_SIZE): Promise<void> {
  const artifact = linearModel({ weights: FEATURES.map((_, i) => (i - 6) / 10) });
  await adoptPredictor(servers, { name: 'bench', artifact, users, chunkSize });
  await servers.pool.query(`
    drop table if exists baseline;
    create table baseline as select user_id::text as user_id, 0::bigint as version from bench_features;
    alter table baseline add primary key (user_id);
    analyze baseline`);
}

/**
 * Makes features with the distribution of `likelyFeatures` in boosted-trees.ts, on which the batch model was trained.
 */
async function makeUsers({ pool }: BenchServers, table: string, users: number): Promise<void> {
  const did = FEATURES.slice(1).map(
    (name) => `case when random() < activity then random() * activity else 0 end as ${name}`,
  );
  await pool.query(`
    select setseed(0.5);
    create table ${table} as select ${FIRST_USER}::bigint + n as user_id, activity as ${FEATURES[0]}, ${did.join(', ')}
      from (select n, random() ^ 2 as activity from generate_series(0, ${users - 1}) n) users;
    alter table ${table} add primary key (user_id)`);
  // As autovacuum leaves an older table. The checkpoint runs here, so that it does not affect a figure.
  await pool.query(`vacuum analyze ${table}`);
  await pool.query('checkpoint');
}

function definitionOf(predictor: AdoptedUsers): PredictorToAdopt {
  const { name, artifact, chunkSize = CHUNK_SIZE, liveTimeoutMs = 1_000, isGiven = false } = predictor;
  const freshness = {
    maxAgeMs: null,
    live: true,
    liveTimeoutMs,
    onLiveFailure: 'stale' as const,
    unverified: true,
    default: null,
    events: ['*'],
  };
  const definition = {
    predictor: name,
    artifactHash: createHash('sha256').update(artifact).digest('hex'),
    keyType: 'int8' as const,
    query: {
      sql: `select user_id, ${FEATURES.join(', ')} from ${name}_features`,
      columns: FEATURES.map((feature) => ({ name: feature, kind: 'number' as const })),
      asOf: null,
      overlayForMs: null,
    },
    ...(isGiven ? { request: GIVEN.map((given) => ({ name: given, kind: 'number' as const })) } : {}),
    inputs: [{ name: 'features', type: 'float32' as const, columns: isGiven ? GIVEN : FEATURES }],
    outputs: [{ name: 'score', output: 'score', type: 'float32' as const, width: null, index: 0 }],
  };
  const policy = { freshness, batch: { schedule: null, chunkSize, minCoverage: 1 } };
  return { name, artifact, definition, policy, verification: { metadata: metadataOf(artifact), parity: NO_PARITY } };
}

const NO_PARITY = {
  ...{ users: { real: 0, madeUp: 1 }, refused: { real: 0, madeUp: 0, why: null }, readBothWays: 0 },
  ...{ batchSizes: [1], comparisons: 1, tolerance: 0, largestDifference: null },
};

/**
 * Returns the metadata that an admission would find. Raw inference batches rows only if it knows that no output mixes
 * them.
 */
function metadataOf(artifact: Uint8Array): ModelMetadata {
  return {
    inputs: [{ name: 'features', type: 'float32', shape: ['N', FEATURES.length] }],
    outputs: [{ name: 'score', type: 'float32', shape: ['N', 1] }],
    ...{ opset: { 'ai.onnx': 17 }, irVersion: 8, producer: 'bench', bytes: artifact.length },
  };
}
