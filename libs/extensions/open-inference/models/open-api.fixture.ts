/**
 * Fixture for the tests of the Open Inference Protocol: an API with three predictors. `repurchase` is that of
 * api.fixture.ts. `zoo` has an input of every element type, computed from the user's orders, and returns each input as
 * an output. `typed` is `zoo` without float16, for which gRPC has no typed contents.
 */
import { createHash } from 'node:crypto';
import type { FeatureColumn, TensorType } from '@tandem/freshness/predictor';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import type { ModelMetadata } from '@tandem/prediction/models/verification';
import { copyingModel } from '@tandem/testing/onnx-models';
import { TENSOR_TYPES } from '@tandem/wire/tensor-types';
import { createTestApi, repurchase, type TestApi } from '../../../../apps/api/api.fixture.ts';

/** `vector` has three values in a row; `count` has one dimension. */
export const ZOO: readonly { readonly name: string; readonly type: TensorType; readonly width: number | null }[] = [
  ...TENSOR_TYPES.map((type) => ({ name: type, type, width: 1 })),
  { name: 'vector', type: 'float32', width: 3 },
  { name: 'count', type: 'int64', width: null },
];

type Settings = Parameters<typeof createTestApi>[3];

/**
 * Creates the API.
 * @param freshness the freshness policy of the predictors
 */
export function createOpenApi(
  freshness: Parameters<typeof repurchase>[0] = {},
  settings: Settings = {},
): Promise<TestApi> {
  const typed = ZOO.filter(({ type }) => type !== 'float16');
  const predictors = [repurchase(freshness), copying('zoo', ZOO, freshness), copying('typed', typed, freshness)];
  return createTestApi(freshness, undefined, undefined, settings, {
    prepare: (pool) => adopt(pool, { predictors, actor: 'test' }),
  });
}

function copying(
  predictor: string,
  parts: typeof ZOO,
  freshness: Parameters<typeof repurchase>[0] = {},
): PredictorToAdopt {
  const base = repurchase({ ...freshness, default: null });
  const tensors = parts.map(({ name, type, width }) => ({ name, type, shape: width === null ? ['N'] : ['N', width] }));
  const artifact = copyingModel(tensors);
  const columns = parts.flatMap(({ name, type, width }) =>
    Array.from({ length: width ?? 1 }, (_, i) => columnOf(`${name}_${i}`, type)),
  );
  // No field uses this output, so admission does not check it.
  const unmapped = { name: 'pairs', type: 'float32', shape: ['N', 'N'] };
  const outputs = [...tensors.map((tensor) => ({ ...tensor, name: `${tensor.name}_out` })), unmapped];
  const metadata: ModelMetadata = {
    ...{ inputs: tensors, outputs },
    ...{ opset: { 'ai.onnx': 17 }, irVersion: 8, producer: 'tandem', bytes: artifact.length },
  };
  return {
    ...base,
    name: predictor,
    artifact,
    verification: { metadata, parity: NO_PARITY },
    definition: {
      ...base.definition,
      predictor,
      artifactHash: createHash('sha256').update(artifact).digest('hex'),
      query: {
        ...base.definition.query,
        sql: `select user_id, ${columns.map(({ sql }) => sql).join(', ')}, loaded_at from customers`,
        columns: columns.map(({ column }) => column),
      },
      inputs: parts.map(({ name, type, width }) => ({
        ...{ name, type },
        columns: Array.from({ length: width ?? 1 }, (_, i) => `${name}_${i}`),
        ...(width === null ? { rank: 1 as const } : {}),
      })),
      outputs: parts.map(({ name, type, width }) => ({
        ...{ name: `${name}_out`, output: `${name}_out`, type, index: 0 },
        width: width === null || width === 1 ? null : width,
      })),
    },
  };
}

function columnOf(name: string, type: TensorType): { column: FeatureColumn; sql: string } {
  if (type === 'string') return { column: { name, kind: 'string' }, sql: `'plan ' || orders as ${name}` };
  if (type === 'bool') return { column: { name, kind: 'boolean' }, sql: `orders > 4 as ${name}` };
  return { column: { name, kind: 'number' }, sql: `orders::float8 as ${name}` };
}

const NO_PARITY = {
  ...{ users: { real: 0, madeUp: 1 }, refused: { real: 0, madeUp: 0, why: null }, readBothWays: 0 },
  ...{ batchSizes: [1], comparisons: 1, tolerance: 0, largestDifference: null },
};
