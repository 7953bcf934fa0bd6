import { describe, expect, it } from 'vitest';
import { TandemError } from '../errors.ts';
import { HINTED_CHUNKS, planRun } from './plan-run.ts';
import { runOf, writeDownHints } from './run.fixture.ts';
import type { Run } from './runs.ts';

/** Plans a run into which so many chunks were cut. */
async function plan(run: Run, claimable: number) {
  const { hints, said } = writeDownHints();
  const refs = Array.from({ length: claimable }, (_, no) => ({ runId: run.id, no, fence: no % 3 }));
  const runs = {
    plan: async () => run,
    fail: async () => run,
    claimable: async (_runId: string, limit: number) => refs.slice(0, limit),
  };
  expect(await planRun({ runs, hints }, run.id)).toBe(run);
  return said;
}

describe('planning a run', () => {
  it('hints at its chunks by the fence of their last claim', async () => {
    expect(await plan(runOf(), 2)).toEqual(['chunk r1 0 0', 'chunk r1 1 1']);
  });

  it('hints at a bounded number of chunks, however many there are', async () => {
    expect(await plan(runOf({ chunkCount: 5_000 }), 5_000)).toHaveLength(HINTED_CHUNKS);
  });

  it('hints that a run without chunks, or whose chunks are all committed, can be published', async () => {
    expect(await plan(runOf({ chunkCount: 0 }), 0)).toEqual(['publish r1']);
    expect(await plan(runOf({ chunksCommitted: 2 }), 0)).toEqual(['publish r1']);
  });

  it('fails a run that cannot be planned with the reason, and hints at nothing', async () => {
    const { hints, said } = writeDownHints();
    const runs = {
      plan: () => Promise.reject(new TandemError('config_invalid', 'The feature query fails.')),
      claimable: async () => [],
      fail: async (_runId: string, error: string) => runOf({ state: 'failed', error }),
    };
    const run = await planRun({ runs, hints }, 'r1');
    expect([run.error, said]).toEqual(['cannot be planned: The feature query fails.', []]);
  });

  it('rejects, and fails nothing, where another attempt may succeed or there is no such run', async () => {
    for (const code of ['unavailable', 'unknown_run'] as const) {
      const runs = {
        plan: () => Promise.reject(new TandemError(code, 'no')),
        claimable: async () => [],
        fail: async () => expect.unreachable('failed a run that may go on'),
      };
      await expect(planRun({ runs, hints: writeDownHints().hints }, 'r1')).rejects.toMatchObject({ code });
    }
  });

  it('hints at nothing while all that is open is claimed, nor of a run that has ended', async () => {
    expect(await plan(runOf({ chunksCommitted: 1 }), 0)).toEqual([]);
    expect(await plan(runOf({ state: 'cancelled' }), 2)).toEqual([]);
    expect(await plan(runOf({ state: 'done', chunksCommitted: 2 }), 0)).toEqual([]);
  });
});
