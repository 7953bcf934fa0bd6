/** A comparison for the documentation; it compiles only as what the wire has. */
import type { BuildComparison } from './builds.ts';

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
