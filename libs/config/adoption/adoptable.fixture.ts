/** A predictor with two features and a model with one matrix input, for tests. Each part can be replaced. */
import type { ModelDefinition, TensorType } from '@tandem/freshness/predictor';
import type { ResolvedPredictor } from '../predictor/resolve-predictor.ts';
import { adoptable } from './adoptable.ts';
import type { ModelSignature } from './model-inputs.ts';
import type { QueryColumn } from './query-columns.ts';

export const signature: ModelSignature = {
  inputs: [{ name: 'features', type: 'float32', shape: ['batch', 2] }],
  outputs: [
    { name: 'score', type: 'float32', shape: ['batch', 1] },
    { name: 'probabilities', type: 'float32', shape: [null, 3] },
  ],
};
export const columns: QueryColumn[] = [
  { name: 'user_id', type: 'bigint' },
  { name: 'visits', type: 'int4' },
  { name: 'spent', type: 'double precision' },
];

export type Overrides = Partial<Omit<ResolvedPredictor, 'features'>> & {
  features?: Partial<ResolvedPredictor['features']>;
};

export function predictor({ features, ...other }: Overrides = {}): ResolvedPredictor {
  return {
    name: 'churn',
    model: { path: '/model.onnx', bytes: Buffer.from('model'), sha256: 'a'.repeat(64) },
    features: { sql: 'select …', asOf: null, overlayForMs: null, nulls: {}, categories: {}, ...features },
    request: null,
    inputs: null,
    outputs: [{ name: 'score', from: 'score', type: 'float32', index: null, width: null }],
    policy: {
      freshness: {
        maxAgeMs: null,
        live: true,
        liveTimeoutMs: 50,
        onLiveFailure: 'stale',
        unverified: true,
        default: null,
        events: ['*'],
      },
      batch: { schedule: null, chunkSize: 5000, minCoverage: 0.9 },
    },
    rowByRow: false,
    ...other,
  };
}

/** Returns the definition. Throws if there are problems. */
export function definitionOf(overrides: Overrides = {}, described = columns, model = signature): ModelDefinition {
  const result = adoptable(predictor(overrides), described, model);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.definition;
}

/** Returns the problems, each as `path: problem → remedy`. */
export function problemsIn(overrides: Overrides, described = columns, model = signature): string[] {
  const result = adoptable(predictor(overrides), described, model);
  return result.ok ? [] : result.problems.map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`);
}

/** Returns the settings of a predictor that takes `score` from this tensor. */
export const output = (from: string, more: Partial<ResolvedPredictor['outputs'][number]> = {}): Overrides => ({
  outputs: [{ name: 'score', from, type: 'float32', index: null, width: null, ...more }],
});
/** Returns a model whose single input has this shape. */
export const input = (shape: (number | string | null)[], type: TensorType = 'float32'): ModelSignature => ({
  ...signature,
  inputs: [{ name: 'features', type, shape }],
});

/** Returns the columns of a query, with this column instead of `spent`. */
export const withColumn = (name: string, type: string) =>
  [columns[0], columns[1], { name, type }].filter((c) => c !== undefined);
