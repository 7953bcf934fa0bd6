import { TandemError } from '@tandem/freshness/errors';
import { describe, expect, it } from 'vitest';
import { type PlanRunDependencies, planRun } from './plan-run.ts';
import { runOf, writeDownHints } from './run.fixture.ts';
import type { Run } from './runs.ts';
import { HINTED_CHUNKS } from './work-step.ts';

const lease = { leaseMs: 60_000, renewMs: 20_000 };
const claimed = { predictor: 'visits', fence: 1, attempts: 1, takenOver: false };

/** A store with a step that can be claimed. A released step ends as its limit says. */
function storeWith(changes: Partial<PlanRunDependencies['runs']> = {}): PlanRunDependencies['runs'] {
  return {
    claimStep: async (runId, step) => ({ ...claimed, runId, step, history: 'h' }),
    renewStep: async () => true,
    giveBackStep: async (step, _error, maxAttempts) => (step.attempts < maxAttempts ? 'waiting' : 'failed'),
    releaseStep: async () => {},
    plan: async () => runOf(),
    claimable: async () => [],
    unfinished: async () => [],
    ...changes,
  };
}

/** Plans a run with this many claimable chunks, and returns the hints. */
async function plan(run: Run, claimable: number) {
  const { hints, said } = writeDownHints();
  const refs = Array.from({ length: claimable }, (_, no) => ({ runId: run.id, no, fence: no % 3 }));
  const runs = storeWith({ plan: async () => run, claimable: async (_runId, limit) => refs.slice(0, limit) });
  expect(await planRun({ runs, hints, lease }, run.id)).toEqual({ outcome: 'done', result: run, ...claimed });
  return said;
}

/** Returns the report of a plan that rejects with this error. */
async function planRejecting(error: Error) {
  const { hints, said } = writeDownHints();
  const report = await planRun({ runs: storeWith({ plan: () => Promise.reject(error) }), hints, lease }, 'r1');
  expect(said).toEqual([]);
  return report;
}

describe('planning a run', () => {
  it('hints at its chunks with the fence of their last claim', async () => {
    expect(await plan(runOf(), 2)).toEqual(['chunk r1 0 0', 'chunk r1 1 1']);
  });

  it('hints at a limited number of chunks, however many there are', async () => {
    expect(await plan(runOf({ chunkCount: 5_000 }), 5_000)).toHaveLength(HINTED_CHUNKS);
  });

  it('hints that a run can be published if it has no chunks, or all chunks are committed', async () => {
    expect(await plan(runOf({ chunkCount: 0 }), 0)).toEqual(['publish r1']);
    expect(await plan(runOf({ chunksCommitted: 2 }), 0)).toEqual(['publish r1']);
  });

  it('fails a run that cannot be planned, with the reason and without hints', async () => {
    const report = await planRejecting(new TandemError('config_invalid', 'The feature query fails.'));
    expect(report).toEqual({ outcome: 'failed', error: 'The feature query fails.', ...claimed });
  });

  it('returns the step if another attempt may succeed', async () => {
    const report = await planRejecting(new TandemError('unavailable', 'No answer.', { detail: 'timeout' }));
    expect(report).toEqual({ outcome: 'given_back', error: 'No answer. (timeout)', ...claimed });
  });

  it('ends immediately if another worker holds the step', async () => {
    const { hints, said } = writeDownHints();
    const runs = storeWith({
      claimStep: async () => null,
      plan: async () => expect.unreachable('planned all the same'),
    });
    expect([await planRun({ runs, hints, lease }, 'r1'), said]).toEqual([{ outcome: 'nothing_to_do' }, []]);
  });

  it('hints at the runs of the predictor that waited for the plan', async () => {
    const { hints, said } = writeDownHints();
    const waiting = [
      { ...runOf({ id: 'r2', state: 'planned' }), isStepFree: true },
      { ...runOf({ id: 'r3', state: 'planned' }), isStepFree: false },
      { ...runOf({ id: 'r4', state: 'publishing' }), isStepFree: true },
    ];
    const runs = storeWith({ plan: async () => null, unfinished: async () => waiting });
    await planRun({ runs, hints, lease }, 'r1');
    expect(said).toEqual(['plan r2']);
  });

  it('reports a run that failed since its workers died', async () => {
    const { hints, said } = writeDownHints();
    const failed = 'cannot be planned: its worker died 12 times in a row';
    const runs = storeWith({
      claimStep: async () => ({ ...claimed, takenOver: true, failed }),
      plan: async () => expect.unreachable('planned all the same'),
    });
    const report = await planRun({ runs, hints, lease }, 'r1');
    expect([report, said]).toEqual([{ outcome: 'failed', error: failed, ...claimed, takenOver: true }, []]);
  });

  it('abandons a plan whose fence is lost', async () => {
    const { hints, said } = writeDownHints();
    const runs = storeWith({ plan: async () => null });
    expect([await planRun({ runs, hints, lease }, 'r1'), said]).toEqual([{ outcome: 'abandoned', ...claimed }, []]);
  });

  it('sends no hint while all open chunks are claimed', async () => {
    expect(await plan(runOf({ chunksCommitted: 1 }), 0)).toEqual([]);
  });
});
