/**
 * One answer of each kind as the service gives it: the examples of its OpenAPI document, and what a caller may render or
 * test against. They belong together: user 42 ordered again after the nightly run.
 */
import type {
  Candidate,
  ErasureReceipt,
  EventValue,
  Explanation,
  PredictionAnswer,
  ProcessView,
  Readmission,
} from './wire.ts';

export const PREDICTION_EXAMPLE = {
  predictor: 'repurchase',
  userId: '42',
  prediction: { score: 0.831 },
  source: 'batch',
  reason: 'fresh',
  modelVersion: '2',
  variant: 'stable',
  generation: '17',
  computedAt: '2026-11-24T02:00:11.250Z',
  ageSeconds: 31_842,
  contextVersion: 5,
  lastConcerningVersion: 5,
  predictedFromContextVersion: 5,
} satisfies PredictionAnswer;

export const CANDIDATE_EXAMPLE = {
  store: 'redis',
  layer: 'generation',
  source: 'batch',
  state: 'stale',
  prediction: { score: 0.412 },
  modelVersion: '2',
  generation: '17',
  history: null,
  overlayFloor: null,
  predictedFromContextVersion: 5,
  computedAt: '2026-11-24T02:00:11.250Z',
  ageSeconds: 31_842,
} satisfies Candidate;

export const EVENT_VALUE_EXAMPLE = {
  value: 4,
  acceptedAt: '2026-11-24T10:12:00.480Z',
  time: '2026-11-24T10:12:00.000Z',
  source: '/shop/orders',
  id: 'order-1009',
} satisfies EventValue;

const { value: _value, ...EVENT_EXAMPLE } = EVENT_VALUE_EXAMPLE;

export const EXPLANATION_EXAMPLE = {
  userId: '42',
  predictor: 'repurchase',
  at: '2026-11-24T10:50:53.250Z',
  history: '9f2c4a1be07d3358',
  user: { contextVersion: 6, lastConcerningVersion: 6, deletedVersion: 0 },
  assignment: {
    modelVersion: '2',
    variant: 'stable',
    generation: '17',
    overlayFloor: 0,
    rolloutRevision: 18,
    expiresFrom: null,
  },
  stores: { redis: 'ok', postgres: 'ok' },
  candidates: [CANDIDATE_EXAMPLE],
  features: [
    { name: 'recency', value: 12, from: 'row' },
    { name: 'orders', value: 4, from: 'event', rowValue: 3, event: EVENT_EXAMPLE },
  ],
  featureFault: null,
  featureProblem: null,
  answer: {
    ...PREDICTION_EXAMPLE,
    source: 'live',
    reason: 'context_newer',
    generation: null,
    computedAt: '2026-11-24T10:50:53.251Z',
    ageSeconds: 0,
    contextVersion: 6,
    lastConcerningVersion: 6,
    predictedFromContextVersion: 6,
  },
  answerProblem: null,
  cacheStatus: 'tandem; fwd=stale; stored; detail=context_newer',
} satisfies Explanation;

export const PROCESS_EXAMPLE = {
  id: '6f1f2f0a-54a5-4b0e-9c7e-2c1d1c9f8f6b',
  kind: 'api',
  host: 'api-1',
  pid: 4711,
  release: '0.1.0',
  startedAt: '2026-11-23T18:02:11.091Z',
  seenAt: '2026-11-24T10:30:01.344Z',
  models: [
    { predictor: 'repurchase', modelVersion: '2', state: 'ready', error: null, since: '2026-11-23T18:02:12.480Z' },
    {
      predictor: 'repurchase',
      modelVersion: '3',
      state: 'failed',
      error: 'the inference process ended: it took more than 512 MB of memory',
      since: '2026-11-24T10:29:58.011Z',
    },
  ],
} satisfies ProcessView;

export const RECEIPT_EXAMPLE = {
  userId: '42',
  erasedAt: '2026-11-24T11:02:40.117Z',
  contextVersion: 7,
  contextToken: '9f2c4a1be07d3358.7',
  deleted: {
    postgres: {
      contextValues: 1,
      events: 2,
      predictions: 3,
      overlayEntries: 1,
      runFailures: 0,
      outcomes: 1,
      exposures: 1,
      keptExplanations: 2,
    },
    redis: { predictions: 3, overlayEntries: 1 },
  },
} satisfies ErasureReceipt;

export const READMISSION_EXAMPLE = {
  userId: '42',
  status: 'readmitted',
  contextVersion: 8,
  contextToken: '9f2c4a1be07d3358.8',
} satisfies Readmission;
