/** A certified read and stored candidates for tests of a read's decisions, each with the changes that a test needs. */

import { type Assignment, everybodyIn, type UserState } from './certificate.ts';
import type { FreshnessPolicy, ModelVersion } from './predictor.ts';
import { PLAIN_READ, type ReadOptions } from './read-options.ts';
import { type CertifiedRead, type Standing, standingOf as standingUnder } from './settle.ts';
import type { StoredPrediction } from './stored-prediction.ts';

/** Postgres' clock. */
export const NOW = 1_800_000_000_000;
export const HISTORY = 'a'.repeat(16);
export const MAX_AGE_MS = 100_000;

export const ASSIGNMENT: Assignment = {
  predictor: 'repurchase',
  arm: 'stable',
  modelVersionId: 'm2',
  modelNumber: 2,
  overlayFloor: 3,
  revision: 9,
  expiresFrom: null,
  generation: { id: 'g7', number: 7, buckets: 4, startedAt: NOW - 1_000, isOutdated: false, base: null },
};

const VERSION: ModelVersion = {
  id: 'm2',
  number: 2,
  predictor: 'repurchase',
  artifactHash: 'a',
  keyType: 'int8',
  query: { sql: 'select', columns: [], asOf: null, overlayForMs: null },
  inputs: [],
  outputs: [{ name: 'score', output: 'score', type: 'float64', width: null, index: 0 }],
};

export function readOf(
  policy: Partial<FreshnessPolicy> = {},
  options: Partial<ReadOptions> = {},
  assignment: Partial<Assignment> = {},
): CertifiedRead {
  const freshness: FreshnessPolicy = {
    maxAgeMs: MAX_AGE_MS,
    live: true,
    liveTimeoutMs: 50,
    onLiveFailure: 'stale',
    unverified: true,
    default: { score: 0.2 },
    events: ['*'],
    ...policy,
  };
  const batch = { schedule: null, chunkSize: 100, minCoverage: 0 };
  return {
    predictor: { name: 'repurchase', keyType: 'int8', policy: { freshness, batch } },
    version: VERSION,
    assignment: { ...ASSIGNMENT, ...assignment },
    rollout: null,
    certificate: {
      history: HISTORY,
      now: NOW,
      revision: 1,
      withdrawals: 0,
      assignments: () => everybodyIn({ ...ASSIGNMENT, ...assignment }),
      user: () => ({ version: 0, touched: 0, deletedVersion: 0 }),
      tombstones: null,
    },
    options: { ...PLAIN_READ, ...options },
    requested: new Map(),
  };
}

/**
 * Returns the standing of a user at version 5, judged under `readOf()`. The user's last event that concerns the
 * predictor is at version 5.
 */
export function standingOf(candidates: readonly StoredPrediction[], state: Partial<UserState> = {}): Standing {
  const user = { version: 5, touched: 5, deletedVersion: 0, ...state };
  const { certificate, ...read } = readOf();
  return standingUnder({ ...read, certificate: { ...certificate, user: () => user } }, '42', candidates);
}

export function scoreBytes(score: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(score);
  return bytes;
}

/** Returns a candidate of the current generation; its score equals its label. */
export function inGeneration(contextVersion: number, changes: Partial<StoredPrediction> = {}): StoredPrediction {
  return {
    layer: 'generation',
    source: 'batch',
    contextVersion,
    modelVersionId: 'm2',
    generationId: 'g7',
    history: null,
    overlayFloor: null,
    computedAt: NOW - 1_000,
    outputs: scoreBytes(contextVersion),
    ...changes,
  };
}

/** Returns a live answer of this history and floor; its score equals its label. */
export function inOverlay(contextVersion: number, changes: Partial<StoredPrediction> = {}): StoredPrediction {
  const overlay = { layer: 'overlay', source: 'live', generationId: null, history: HISTORY, overlayFloor: 3 } as const;
  return { ...inGeneration(contextVersion), ...overlay, ...changes };
}
