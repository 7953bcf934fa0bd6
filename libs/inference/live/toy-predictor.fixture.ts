/** Model versions with the models of libs/testing, and batches of rows for them, for tests. */
import { createHash } from 'node:crypto';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { FeatureColumn, ModelInput, ModelVersion, OutputField } from '@tandem/freshness/predictor';
import { createInferencePool, type InferencePool, type InferencePoolOptions } from './pool.ts';

export interface ToyPredictor {
  readonly version: ModelVersion;
  readonly bytes: Buffer;
}

const SCORE: readonly OutputField[] = [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }];

/** Returns a version of a model with one float matrix `features` of `width` columns and the output `score`. */
export function matrixPredictor(
  bytes: Buffer,
  width: number,
  { type = 'float32', outputs = SCORE }: { type?: ModelInput['type']; outputs?: readonly OutputField[] } = {},
): ToyPredictor {
  const kind = type === 'string' ? 'string' : 'number';
  const columns = Array.from({ length: width }, (_, i): FeatureColumn => ({ name: `f${i}`, kind }));
  return toyPredictor(bytes, columns, [{ name: 'features', type, columns: columns.map(({ name }) => name) }], outputs);
}

export function toyPredictor(
  bytes: Buffer,
  columns: readonly FeatureColumn[],
  inputs: readonly ModelInput[],
  outputs: readonly OutputField[] = SCORE,
): ToyPredictor {
  const artifactHash = createHash('sha256').update(bytes).digest('hex');
  const query = { sql: 'select 1', columns, asOf: null, overlayForMs: null };
  const version = {
    id: artifactHash,
    number: 1,
    predictor: 'toy',
    artifactHash,
    keyType: 'int8' as const,
    query,
    inputs,
    outputs,
  };
  return { version, bytes };
}

/** Returns a batch of users 0, 1, 2, … with these features. */
export function batchOf(version: ModelVersion, rows: readonly (readonly (number | string | null)[])[]): FeatureBatch {
  const { columns } = version.query;
  return {
    history: 'h',
    readAt: 0,
    userIds: rows.map((_, row) => `${row}`),
    contextVersions: rows.map(() => 1),
    columns,
    values: columns.map((_, column) => rows.map((row) => row[column] ?? null)),
    faults: new Map(),
    unusable: new Map(),
  };
}

/** Creates a pool with the artifacts of these predictors; with two children by default. */
export function poolOf(
  predictors: readonly ToyPredictor[],
  options: Partial<InferencePoolOptions> = {},
): InferencePool {
  const artifacts = new Map(predictors.map(({ version, bytes }) => [version.artifactHash, bytes]));
  return createInferencePool({
    processes: 2,
    log: () => {},
    loadArtifact: async (hash) => {
      const bytes = artifacts.get(hash);
      if (bytes) return bytes;
      throw new Error(`no artifact ${hash}`);
    },
    ...options,
  });
}

/**
 * Lets the pool begin the runs of the requests so far. It resolves before the event loop reads the answer of a run,
 * however short the run is and however busy the machine.
 */
export async function letRunsBegin(): Promise<void> {
  for (let i = 0; i < 10; i++) await null;
  await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Returns options of a pool with a clock that stops when a model is paused, so that the pause does not end before the
 * test advances the clock.
 */
export function createPauseClock() {
  let pausedAt: number | undefined;
  let skippedMs = 0;
  return {
    options: {
      now: () => (pausedAt ?? performance.now()) + skippedMs,
      onRest: () => {
        pausedAt ??= performance.now();
      },
    },
    skip(ms: number): void {
      skippedMs += ms;
    },
  };
}

/** Scores the rows and returns the `score` of each. */
export async function scoresOf(
  pool: InferencePool,
  { version }: ToyPredictor,
  rows: readonly (readonly (number | string)[])[],
  { timeoutMs = 20_000, priority = 'live' as 'live' | 'batch' } = {},
): Promise<number[]> {
  const batch = batchOf(version, rows);
  const { tensors } = await pool.score({ version, batch, rows: rows.map((_, row) => row), timeoutMs, priority });
  return Array.from(tensors.score?.data ?? [], Number);
}
