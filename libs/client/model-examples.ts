/** Model versions for the documentation; they compile only as what the wire has. */

import type { BuildComparison } from './builds.ts';
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

/** A comparison for the documentation; it compiles only as what the wire has. */
export const BUILD_COMPARISON_EXAMPLE = {
  predictor: 'repurchase',
  parent: {
    modelVersion: '2',
    build: null,
    artifact: '5f1c0b7d9e3a46288c1d7f60b2a94e53d80c6f17a5b4e2939d0f8c7a6b5e4d3c',
    bytes: 1_830_412,
    rowByRow: false,
    rowsAgree: true,
    largestRowDifference: 1.2e-7,
    refused: 0,
  },
  build: {
    modelVersion: '3',
    build: 'int8',
    artifact: 'c17d2f9ab60e4853b1a7e5d40f9c8263e7f1b05a94d3826c5e0b7a19f4d8c2e6',
    bytes: 471_208,
    rowByRow: false,
    rowsAgree: true,
    largestRowDifference: null,
    refused: 0,
  },
  users: { asked: 2_000, read: 1_994, compared: 1_994 },
  outputs: [{ name: 'score', changed: 1, meanDifference: 0.0021, largestDifference: 0.0184, rankCorrelation: 0.9996 }],
  decision: { output: 'score', threshold: 0.5, up: 3, down: 5, rate: 0.004, low: 0.002, high: 0.0079 },
  labels: {
    output: 'score',
    users: 1_994,
    figures: {
      kind: 'classes',
      parent: { auc: 0.8204, logLoss: 0.4312 },
      build: { auc: 0.8201, logLoss: 0.4318 },
    },
  },
  pace: {
    rounds: 25,
    alone: { parentUs: 61.2, buildUs: 44.9, speedup: { median: 1.36, low: 1.29, high: 1.44 } },
    together: { users: 256, parentUs: 9.8, buildUs: 4.1, speedup: { median: 2.39, low: 2.31, high: 2.46 } },
  },
} satisfies BuildComparison;
