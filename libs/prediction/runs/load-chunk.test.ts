import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import { describe, expect, it } from 'vitest';
import { type LoadChunkDependencies, loadChunk } from './load-chunk.ts';
import { runOf } from './run.fixture.ts';
import { scoredUsers } from './scored-users.ts';

const chunk = { runId: 'r1', no: 3, fence: 1, attempts: 1, takenOver: false, part: { userIds: ['1', '2'] } };
const user = (userId: string) => ({ userId, contextVersion: 4, outputs: Buffer.from(userId) });
const result = { history: 'h2', computedAt: 77, scored: scoredUsers([user('1'), user('2')]), failures: [] };

function stores(changes: Partial<LoadChunkDependencies> = {}) {
  const put: OverlayEntry[] = [];
  const marked: number[] = [];
  const dependencies: LoadChunkDependencies = {
    runs: { markLoaded: async (_runId, no) => void marked.push(no) },
    generations: { find: async () => undefined },
    loader: { loadScored: async () => ({ loaded: 0, skipped: 0 }) },
    overlay: { put: async (entries) => void put.push(...entries) },
    ...changes,
  };
  return { dependencies, put, marked };
}

describe('a committed chunk', () => {
  it('of a partial run is loaded into the overlay, under the history of its read and the run’s floor', async () => {
    const { dependencies, put, marked } = stores();
    const run = runOf({ scope: 'stale', generationId: null, overlayFloor: 5, history: 'h1' });
    expect(await loadChunk(dependencies, run, chunk, result, scoredUsers([user('2')]), false)).toBeNull();
    expect(put).toEqual([
      {
        predictor: 'repurchase',
        userId: '2',
        modelVersionId: 'm1',
        history: 'h2',
        overlayFloor: 5,
        contextVersion: 4,
        source: 'batch',
        computedAt: 77,
        outputs: Buffer.from('2'),
      },
    ]);
    expect(marked).toEqual([3]);
  });

  it('is not loaded into a dropped generation, and the reason is returned', async () => {
    const { dependencies, marked } = stores();
    expect(await loadChunk(dependencies, runOf(), chunk, result, result.scored, true)).toBe(
      'the generation is dropped',
    );
    expect(marked).toEqual([]);
  });

  it('does not fail if its load fails: the store’s error is returned', async () => {
    const run = runOf({ generationId: null });
    for (const thrown of [new Error('Redis is away'), 'Redis is away']) {
      const { dependencies, marked } = stores({ overlay: { put: () => Promise.reject(thrown) } });
      expect(await loadChunk(dependencies, run, chunk, result, result.scored, true)).toBe('Redis is away');
      expect(marked).toEqual([]);
    }
  });
});
