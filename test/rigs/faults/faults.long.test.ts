/**
 * The short selection. The load gets every kind of answer while some faults of the catalogue are injected, and the checker
 * finds no violation in answers or stores. One planted mistake must be caught. `npm test` has two of these faults
 * (faults.e2e.test.ts).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../../e2e/until.fixture.ts';
import { findFaults } from './catalogue/faults.ts';
import type { Checker } from './checker/checker.ts';
import { findControls } from './plant/controls/catalogue.ts';
import { openSession } from './rig/session.ts';
import { tryControl } from './try-controls.ts';

const SEED = 20;
/** Outcomes of each kind that the load must have had. */
const OUTCOMES = ['read 200', 'read 304', 'event 202', 'event 409', 'run 202'];
const SOURCES = ['batch fresh', 'live fresh', 'live context_newer', 'live requested', 'stale context_newer'];
/** Rates that are high enough to get every kind of answer within seconds, without using the whole machine. */
const TRAFFIC = {
  readers: 4,
  readsPerSecond: 10,
  usersPerRead: 20,
  writers: 2,
  writesPerSecond: 5,
  transactionsPerSecond: 4,
};
/** Rates with many moves of rollouts; few rollouts are aborted while they are being prepared, so that most begin. */
const RATES = { ...TRAFFIC, movesPerSecond: 2, abortedInPreparing: 0.04 };
/** Short faults: a kill of each kind of process, and a loss of each store. */
const FAULTS = ['killed-at-event-after-commit', 'killed-at-batch-after-commit', 'cache-flushed', 'everything-at-once'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-faults-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('survives kills of its processes and stores under load: no stale answer is called fresh, and no acknowledged event is lost', async () => {
  const session = await openSession({
    seed: SEED,
    folder: join(folder, 'sound'),
    users: 300,
    workers: 1,
    rates: RATES,
  });
  const { checker } = session;
  try {
    const hasMet = () =>
      OUTCOMES.every((outcome) => checker.calls.outcomes.has(outcome)) &&
      SOURCES.every((source) => checker.reads.sources.has(source)) &&
      // Answers of the stable arm, and of a rollout's arm.
      checker.assignments.served.size > 1;
    // A version is loaded at the lowest priority, which takes long on a busy machine.
    await until('every kind of answer was met', hasMet, 200_000);
    for (const fault of findFaults(FAULTS)) {
      const seen = checker.reads.fresh;
      await fault.run(session);
      await until('reads continue', () => checker.reads.fresh > seen + 200);
    }
    // The time depends on the machine; a load that never has enough outcomes fails here.
    await until('enough was done and seen', () => shortOf(checker).length === 0).catch((cause: unknown) => {
      throw new Error(`too few ${shortOf(checker).join(', ')}`, { cause });
    });
    await session.finish();
  } finally {
    await session.close();
  }
  expect(checker.violations.first).toEqual([]);
  expect(checker.known.faults.counts.size).toBe(FAULTS.length);
});

/** Returns the outcomes of which the load has too few. */
function shortOf({ events, reads, assignments }: Checker): readonly string[] {
  const least = [
    ['acknowledged events', events.acknowledged, 50],
    ['repeated events', events.duplicates, 5],
    ['fresh answers', reads.fresh, 1_000],
    ['rollouts', assignments.moves.get('start') ?? 0, 2],
  ] as const;
  return least.filter(([, seen, enough]) => seen < enough).map(([what]) => what);
}

it('catches a planted mistake: predictions are stamped when they are complete', async () => {
  const [control] = findControls(['N1']);
  if (control === undefined) throw new Error('the control is gone');
  const options = { seed: SEED, folder, withinMs: 60_000, soundMs: 0, apis: 1, workers: 1, say: () => {} };
  expect(await tryControl(control, options)).toMatchObject({ caughtBy: 'stale called fresh' });
});
