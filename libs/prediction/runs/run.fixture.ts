/** A run, a generation and recorded hints, for tests of the run use cases. */
import type { Generation } from './generations.ts';
import type { RunHints } from './run-store.ts';
import type { Run } from './runs.ts';

export function runOf(changes: Partial<Run> = {}): Run {
  return {
    id: 'r1',
    predictor: 'repurchase',
    scope: 'all',
    modelVersionId: 'm1',
    modelNumber: 1,
    overlayFloor: 0,
    sourceVersion: 0,
    history: 'h',
    scheduleSlot: null,
    state: 'running',
    reason: 'test',
    budget: null,
    error: null,
    attempts: 0,
    attemptError: null,
    usersExpected: 10,
    usersScored: 0,
    usersFailed: 0,
    chunkCount: 2,
    chunksCommitted: 0,
    chunkMs: 5_000,
    generationId: 'g1',
    generationNumber: 1,
    createdAt: new Date(0),
    startedAt: null,
    finishedAt: null,
    ...changes,
  };
}

export const generationOf = (id: string): Generation => ({
  id,
  predictor: 'repurchase',
  number: 1,
  modelVersionId: 'm1',
  modelNumber: 1,
  runId: 'r1',
  state: 'published',
  history: 'h',
  buckets: 4,
  startedAt: 0,
  plannedAt: 0,
  publishedAt: new Date(0),
  users: 10,
  baseId: null,
  baseNumber: null,
  usersLeft: null,
  inForce: true,
  wasStable: true,
  servedStable: true,
});

/** Records hints, one line each. */
export function writeDownHints(): { readonly hints: RunHints; readonly said: string[] } {
  const said: string[] = [];
  return {
    said,
    hints: {
      plan: async (runId) => void said.push(`plan ${runId}`),
      chunks: async (refs) => void said.push(...refs.map(({ runId, no, fence }) => `chunk ${runId} ${no} ${fence}`)),
      publish: async (runId) => void said.push(`publish ${runId}`),
      load: async (generationId) => void said.push(`load ${generationId}`),
    },
  };
}
