import { describe, expect, it } from 'vitest';
import { createReconcile, type ReconcileDependencies } from './reconcile.ts';
import { generationOf, runOf, writeDownHints } from './run.fixture.ts';
import type { RunState } from './runs.ts';

/** Returns dependencies with nothing to do. Each test changes the part that it tests. */
function inLine(changes: Partial<ReconcileDependencies> = {}) {
  const { hints, said } = writeDownHints();
  const dependencies: ReconcileDependencies = {
    runs: {
      unfinished: async () => [],
      claimable: async () => [],
    },
    generations: { inForce: async () => [] },
    loader: { isLoaded: async () => true },
    hints,
    losses: { round: async () => false },
    erasures: { round: async () => 0 },
    keepWithdrawals: async () => {},
    ...changes,
  };
  return { dependencies, said };
}

const away = (what: string) => () => Promise.reject(new Error(`${what} is away`));

describe('a round of reconciliation', () => {
  it('does nothing if nothing is due', async () => {
    const { dependencies, said } = inLine();
    expect(await createReconcile(dependencies)()).toEqual({
      unfinishedRuns: 0,
      chunksHinted: 0,
      erasuresSwept: 0,
      generationsToLoad: 0,
      lossesNoticed: 0,
      errors: [],
    });
    expect(said).toEqual([]);
  });

  it('enqueues the next step of a run by its state, and no step of an ended run', async () => {
    const next: Record<RunState, readonly string[]> = {
      planned: ['plan r1'],
      running: ['chunk r1 1 4'],
      publishing: ['publish r1'],
      done: [],
      done_with_errors: [],
      failed: [],
      cancelled: [],
    };
    for (const [state, expected] of Object.entries(next)) {
      const runs = {
        unfinished: async () => [{ ...runOf({ state: state as RunState }), isStepFree: true }],
        claimable: async () => [{ runId: 'r1', no: 1, fence: 4 }],
      };
      const { dependencies, said } = inLine({ runs });
      await createReconcile(dependencies)();
      expect([state, said]).toEqual([state, expected]);
    }
  });

  it('does not hint at a step that a worker holds', async () => {
    const held = (['planned', 'publishing'] as const).map((state) => ({ ...runOf({ state }), isStepFree: false }));
    const { dependencies, said } = inLine({ runs: { unfinished: async () => held, claimable: async () => [] } });
    expect(await createReconcile(dependencies)()).toMatchObject({ unfinishedRuns: 2, errors: [] });
    expect(said).toEqual([]);
  });

  it('enqueues in each round a load of each generation that is not marked as loaded', async () => {
    const { dependencies, said } = inLine({
      generations: { inForce: async () => ['loaded', 'lost'].map(generationOf) },
      loader: { isLoaded: async ({ id }) => id === 'loaded' },
    });
    const reconcile = createReconcile(dependencies);
    for (let round = 0; round < 2; round++) {
      expect(await reconcile()).toMatchObject({ generationsToLoad: 1, errors: [] });
    }
    expect(said).toEqual(['load lost', 'load lost']);
  });

  it('runs each step even if others fail, and names the failed steps', async () => {
    const { dependencies } = inLine({
      runs: { unfinished: away('runs'), claimable: away('chunks') },
      erasures: { round: away('erasures') },
      generations: { inForce: away('generations') },
    });
    const { errors } = await createReconcile(dependencies)();
    expect(errors).toEqual(['runs: runs is away', 'erasures: erasures is away', 'generations: generations is away']);
  });
});
