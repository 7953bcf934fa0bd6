import { describe, expect, it } from 'vitest';
import type { Generation } from './generations.ts';
import { type ReconcileDependencies, reconcile } from './reconcile.ts';
import { runOf, writeDownHints } from './run.fixture.ts';
import type { RunState } from './runs.ts';

const generationOf = (id: string): Generation => ({
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
  publishedAt: new Date(0),
  users: 10,
  inForce: true,
});

/** Everything in line already; each test puts out of line what it is about. */
function inLine(changes: Partial<ReconcileDependencies> = {}) {
  const { hints, said } = writeDownHints();
  const dependencies: ReconcileDependencies = {
    runs: {
      unfinished: async () => [],
      plan: async () => runOf(),
      claimable: async () => [],
      fail: async () => runOf(),
    },
    generations: { inForce: async () => [], dropRetired: async () => [] },
    loader: { isLoaded: async () => true, completeLoad: async () => true },
    sweeper: { forget: async ({ id }) => said.push(`forget ${id}`), sweep: async () => said.push('sweep') },
    listGenerations: async () => [],
    hints,
    outbox: { read: async () => ({ history: 'h', entries: [] }), remove: async () => {} },
    userHints: { raise: async () => {} },
    expire: async () => 0,
    ...changes,
  };
  return { dependencies, said };
}

const away = (what: string) => () => Promise.reject(new Error(`${what} is away`));

describe('a round of reconciliation', () => {
  it('does nothing where all is in line', async () => {
    const { dependencies, said } = inLine();
    expect(await reconcile(dependencies, false)).toEqual({
      unfinishedRuns: 0,
      chunksHinted: 0,
      hintsRelayed: 0,
      generationsToLoad: 0,
      generationsDropped: 0,
      rowsExpired: 0,
      errors: [],
    });
    expect(said).toEqual([]);
  });

  it('hints at the next step of a run by its state, and at none of one that has ended', async () => {
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
        unfinished: async () => [runOf({ state: state as RunState })],
        plan: async () => runOf(),
        fail: async () => runOf(),
        claimable: async () => [{ runId: 'r1', no: 1, fence: 4 }],
      };
      const { dependencies, said } = inLine({ runs });
      await reconcile(dependencies, false);
      expect([state, said]).toEqual([state, expected]);
    }
  });

  it('has loaded what is neither loaded nor complete, and marks what only lacks its mark', async () => {
    const completed: string[] = [];
    const { dependencies, said } = inLine({
      generations: {
        inForce: async () => ['loaded', 'unmarked', 'lost'].map(generationOf),
        dropRetired: async () => [],
      },
      loader: {
        isLoaded: async ({ id }) => id === 'loaded',
        async completeLoad({ id }, users) {
          completed.push(`${id} ${users}`);
          return id === 'unmarked';
        },
      },
    });
    expect(await reconcile(dependencies, false)).toMatchObject({ generationsToLoad: 1, errors: [] });
    expect(said).toEqual(['load lost']);
    expect(completed).toEqual(['unmarked 10', 'lost 10']);
  });

  it('forgets in Redis what retention dropped in Postgres, then sweeps by the list of what is kept', async () => {
    const { dependencies, said } = inLine({
      generations: { inForce: async () => [], dropRetired: async () => [generationOf('g1'), generationOf('g2')] },
      listGenerations: async () => ['g3'],
      expire: async () => 7,
    });
    const sweep = async (listKept: () => Promise<readonly string[]>) => said.push(`sweep but ${await listKept()}`);
    const sweeper = { ...dependencies.sweeper, sweep };
    expect(await reconcile({ ...dependencies, sweeper }, true)).toMatchObject({
      generationsDropped: 2,
      rowsExpired: 7,
    });
    expect(said).toEqual(['forget g1', 'forget g2', 'sweep but g3']);
    said.length = 0;
    expect(await reconcile({ ...dependencies, sweeper }, false)).toMatchObject({ generationsDropped: 0 });
    expect(said).toEqual([]);
  });

  it('does each step though any of the others fails, and names those that failed', async () => {
    const { dependencies } = inLine({
      runs: { unfinished: away('runs'), plan: away('plan'), claimable: away('chunks'), fail: away('fail') },
      outbox: { read: away('outbox'), remove: away('outbox') },
      generations: { inForce: away('generations'), dropRetired: away('retention') },
      expire: away('expiry'),
    });
    const { errors } = await reconcile(dependencies, true);
    expect(errors).toEqual([
      'runs: runs is away',
      'outbox: outbox is away',
      'generations: generations is away',
      'retention: retention is away',
      'expiry: expiry is away',
    ]);
  });
});
