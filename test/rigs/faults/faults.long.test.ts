/**
 * The short selection: the load meets every kind of answer, some faults of the catalogue are done to it, and the checker
 * finds nothing, in the stores neither; and one planted mistake, for which it does. `npm test` has two of these faults
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
/** Of each kind of outcome, that the load must have met. */
const OUTCOMES = ['read 200', 'read 304', 'event 202', 'event 409', 'run 202'];
const SOURCES = ['batch fresh', 'live fresh', 'live context_newer', 'live requested', 'stale context_newer'];
/** Enough to meet every kind of answer within seconds; the whole machine is not needed for that. */
const TRAFFIC = {
  readers: 4,
  readsPerSecond: 10,
  usersPerRead: 20,
  writers: 2,
  writesPerSecond: 5,
  transactionsPerSecond: 4,
};
/** Rollouts come and go in the short time, and most begin: with many moves a second few would else live to be prepared. */
const RATES = { ...TRAFFIC, movesPerSecond: 2, abortedInPreparing: 0.04 };
/** None that holds for long: a kill of each kind of process, and each store gone. */
const FAULTS = ['killed-at-event-after-commit', 'killed-at-batch-after-commit', 'cache-flushed', 'everything-at-once'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-faults-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('survives kills of its processes and stores under load: nothing stale is called fresh, nothing acknowledged lost', async () => {
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
      // From the stable arm, and from a rollout's.
      checker.assignments.served.size > 1;
    // A version is loaded at the least priority: beside other work on a small machine that takes its time.
    await until('every kind of answer was met', hasMet, 200_000);
    for (const fault of findFaults(FAULTS)) {
      const seen = checker.reads.fresh;
      await fault.run(session);
      await until('reads continue', () => checker.reads.fresh > seen + 200);
    }
    // How long that takes is the machine's; a load that never gets there fails here.
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

/** Of what the load must have done or seen there is too little. */
function shortOf({ events, reads, assignments }: Checker): readonly string[] {
  const least = [
    ['acknowledged events', events.acknowledged, 50],
    ['repeated events', events.duplicates, 5],
    ['fresh answers', reads.fresh, 1_000],
    ['rollouts', assignments.moves.get('start') ?? 0, 2],
  ] as const;
  return least.filter(([, seen, enough]) => seen < enough).map(([what]) => what);
}

it('catches a mistake that is planted: predictions stamped when they are completed', async () => {
  const [control] = findControls(['N1']);
  if (control === undefined) throw new Error('the control is gone');
  const options = { seed: SEED, folder, withinMs: 60_000, soundMs: 0, apis: 1, workers: 1, say: () => {} };
  expect(await tryControl(control, options)).toMatchObject({ caughtBy: 'stale called fresh' });
});
