/**
 * The short form of faults.long.test.ts: one process is killed and one store loses its data, under load. The checker judges
 * the answers and the stores.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { until } from '../../e2e/until.fixture.ts';
import { findFaults } from './catalogue/faults.ts';
import { openSession } from './rig/session.ts';

const SEED = 21;
/** The time limit of a read. It allows for other tests on the same machine. */
const DEADLINES = { read: 20_000 };
/** Rates without rollouts: each rollout loads another version, which takes long. */
const RATES = {
  ...{ readers: 1, readsPerSecond: 10, usersPerRead: 20, writers: 1, writesPerSecond: 5, transactionsPerSecond: 2 },
  movesPerSecond: 0,
};

it('with a killed API and a flushed cache, no stale answer is called fresh, and no acknowledged event is lost', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-faults-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const form = { users: 100, apis: 1, workers: 1, rates: RATES, deadlines: DEADLINES };
  const session = await openSession({ seed: SEED, folder, ...form });
  const { checker } = session;
  try {
    for (const fault of findFaults(['killed-at-event-after-commit', 'cache-flushed'])) {
      const { fresh } = checker.reads;
      const { acknowledged } = checker.events;
      await fault.run(session);
      const hasContinued = () => checker.reads.fresh > fresh + 200 && checker.events.acknowledged > acknowledged + 10;
      await until('reads and events continue', hasContinued);
    }
    await session.finish();
  } finally {
    await session.close();
  }
  expect(checker.violations.first).toEqual([]);
  expect(checker.known.faults.counts.size).toBe(2);
});
