/** Model versions for the documentation; they compile only as what the wire has. */
import type { ModelDetail, ModelView } from './model-wire.ts';

export const MODEL_EXAMPLE = {
  predictor: 'repurchase',
  modelVersion: '2',
  artifact: '5f1c0b7d9e3a46288c1d7f60b2a94e53d80c6f17a5b4e2939d0f8c7a6b5e4d3c',
  bytes: 1_830_412,
  createdAt: '2026-11-20T09:30:02.118Z',
  archivedAt: null,
  origin: { by: 'key:ci', how: 'push' },
  variants: ['stable'],
  labels: ['autumn'],
  verified: true,
  note: 'with returns',
  metrics: { auc: 0.82 },
  build: null,
  parent: null,
  inputs: [{ name: 'features', type: 'float32', columns: ['recency', 'orders', 'returns'] }],
  outputs: [{ name: 'score', output: 'probabilities', type: 'float32', width: null, index: 1 }],
} satisfies ModelView;

export const MODEL_DETAIL_EXAMPLE = {
  ...MODEL_EXAMPLE,
  features: {
    sql: 'select customer_id as user_id, recency, orders, returns, loaded_at from customer_features',
    columns: [
      { name: 'recency', kind: 'number' },
      { name: 'orders', kind: 'integer' },
      { name: 'returns', kind: 'integer' },
    ],
    asOf: 'loaded_at',
    overlayForMs: null,
  },
  rowByRow: false,
  metadata: {
    inputs: [{ name: 'features', type: 'float32', shape: ['N', 3] }],
    outputs: [{ name: 'probabilities', type: 'float32', shape: ['N', 2] }],
    opset: { 'ai.onnx': 17, 'ai.onnx.ml': 3 },
    irVersion: 8,
    producer: 'skl2onnx 1.17.0',
    bytes: 1_830_412,
  },
  parity: {
    users: { real: 93, madeUp: 64 },
    refused: { real: 0, madeUp: 0 },
    readBothWays: 32,
    batchSizes: [1, 2, 3, 7, 157, 1_024],
    comparisons: 1_664,
    tolerance: 1e-5,
    largestDifference: {
      output: 'score',
      alone: 0.8310412,
      other: 0.8310413,
      difference: 5.96e-8,
      ofAllowed: 0.00596,
    },
  },
} satisfies ModelDetail;
