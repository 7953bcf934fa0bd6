import { describe, expect, it } from 'vitest';
import type { Generation } from './generations.ts';
import { findWaitingWork, type UnfinishedWork } from './waiting-work.ts';

const now = new Date('2026-03-01T12:00:00Z');
const at = (minutes: number) => new Date(now.getTime() + 60_000 * minutes);

/** The schedule has a slot at each full hour. */
const latestSlot = (_: string, moment: Date) => new Date(Math.floor(moment.getTime() / 3_600_000) * 3_600_000);
const nextSlot = (schedule: string, moment: Date) => new Date(latestSlot(schedule, moment).getTime() + 3_600_000);

const loaded = async () => true;

function find(
  unfinished: readonly Partial<UnfinishedWork>[],
  lastSlot = now,
  chores: readonly string[] = [],
  isLoaded = loaded,
) {
  const run = { predictor: 'p', users: 10, usersPerSecond: 5, createdAt: now, schedule: null };
  return findWaitingWork({
    work: { unfinishedWork: async () => unfinished.map((one) => ({ ...run, ...one })), chores: async () => chores },
    schedules: {
      schedules: async () => ({
        now,
        schedules: [
          {
            predictor: 'p',
            variant: 'stable',
            schedule: '0 * * * *',
            isOfChanged: false,
            budget: null,
            after: lastSlot,
          },
        ],
      }),
    },
    generations: { inForce: async () => [{ id: 'g' } as Generation] },
    loader: { isLoaded },
    ...{ latestSlot, nextSlot, deadlineMs: 45 * 60_000 },
  });
}

describe('the deadline of a run', () => {
  it('is a fixed time after its request', async () => {
    expect(await find([{ createdAt: at(-10) }])).toMatchObject({ runs: [{ predictor: 'p', secondsLeft: 35 * 60 }] });
  });

  it('is the next slot of its predictor, if that is earlier', async () => {
    expect(await find([{ createdAt: at(-30), schedule: '0 * * * *' }])).toMatchObject({ runs: [{ secondsLeft: 0 }] });
  });
});

describe('work beside runs', () => {
  it('includes a due slot without a run, since a worker creates the run', async () => {
    expect(await find([], at(-60))).toEqual({ runs: [], chores: ['schedule'] });
    expect(await find([])).toEqual({ runs: [], chores: [] });
  });

  it('includes a current generation that Redis lost, unless Redis does not answer', async () => {
    expect(await find([], now, [], async () => false)).toEqual({ runs: [], chores: ['load'] });
    expect(await find([], now, [], () => Promise.reject(new Error('away')))).toEqual({ runs: [], chores: [] });
  });

  it('includes the work that Postgres lists', async () => {
    expect(await find([], now, ['events'])).toEqual({ runs: [], chores: ['events'] });
  });
});
