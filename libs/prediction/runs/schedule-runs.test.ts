import { TandemError } from '@tandem/freshness/errors';
import { describe, expect, it } from 'vitest';
import { runOf, writeDownHints } from './run.fixture.ts';
import type { NewRun } from './run-store.ts';
import { type Schedule, type ScheduleRunsDependencies, scheduleRuns } from './schedule-runs.ts';

const HOUR = 3_600_000;
const at = (hours: number) => new Date(hours * HOUR);
/** Returns the latest slot of a schedule that has a slot every given number of hours. */
const latestSlot: ScheduleRunsDependencies['latestSlot'] = (schedule, moment) => {
  const every = Number(schedule) * HOUR;
  if (Number.isNaN(every)) throw new RangeError(`${schedule} is no schedule`);
  return new Date(Math.floor(moment.getTime() / every) * every);
};

function schedulesOf(
  now: Date,
  due: readonly (Pick<Schedule, 'predictor' | 'schedule' | 'after'> & Partial<Schedule>)[],
) {
  const { hints, said } = writeDownHints();
  const asked: NewRun[] = [];
  const create = async (run: NewRun) => {
    asked.push(run);
    if (run.predictor === 'busy') throw new TandemError('run_conflict', 'another run is unfinished');
    if (run.predictor === 'mixed' && run.budget)
      throw new TandemError('run_conflict', 'An earlier release is alive.', { field: 'budget' });
    if (run.predictor === 'broken') throw new Error('its rows are locked');
    if (run.predictor === 'gone') throw new TandemError('unknown_predictor', 'there is none');
    return { run: runOf({ id: `run of ${run.predictor}` }), created: run.predictor !== 'made' };
  };
  const dependencies = {
    schedules: {
      schedules: async () => ({
        now,
        schedules: due.map((one) => ({ variant: 'stable', isOfChanged: false, budget: null, ...one })),
      }),
    },
    runs: { create },
    hints,
    latestSlot,
  };
  return { dependencies, asked, said };
}

describe('a schedule', () => {
  it('that is due creates a run of all users only for its newest slot, on Postgres’ clock', async () => {
    const { dependencies, asked, said } = schedulesOf(at(50.5), [
      { predictor: 'repurchase', schedule: '24', after: at(0) },
    ]);
    expect(await scheduleRuns(dependencies)).toEqual({
      made: [{ predictor: 'repurchase', slot: at(48), runId: 'run of repurchase' }],
      failed: [],
    });
    expect(asked).toEqual([
      {
        ...{ predictor: 'repurchase', variant: 'stable', scope: { kind: 'all' }, reason: 'schedule' },
        ...{ scheduleSlot: at(48), budget: null, isOfChanged: false },
      },
    ]);
    expect(said).toEqual(['plan run of repurchase']);
  });

  it('is due at its slot, not before and not again after the run', async () => {
    const due = async (now: Date, after: Date) =>
      (await scheduleRuns(schedulesOf(now, [{ predictor: 'p', schedule: '24', after }]).dependencies)).made.length;
    expect(await due(new Date(at(24).getTime() - 1), at(1))).toBe(0);
    expect(await due(at(24), at(1))).toBe(1);
    expect(await due(at(30), at(24))).toBe(0);
  });

  it('creates no run and no hint if another scheduler has created the slot’s run', async () => {
    const { dependencies, said } = schedulesOf(at(24), [{ predictor: 'made', schedule: '24', after: at(0) }]);
    expect(await scheduleRuns(dependencies)).toEqual({ made: [], failed: [] });
    expect(said).toEqual([]);
  });

  it('of a busy or withdrawn predictor waits, and does not delay others', async () => {
    const predictors = ['busy', 'gone', 'repurchase'];
    const { dependencies } = schedulesOf(
      at(24),
      predictors.map((predictor) => ({ predictor, schedule: '24', after: at(0) })),
    );
    expect(await scheduleRuns(dependencies)).toMatchObject({ made: [{ predictor: 'repurchase' }], failed: [] });
  });

  const twoSchedules = (after: Date, changes: Partial<Schedule> = {}) =>
    [
      { predictor: 'repurchase', schedule: '24', after },
      { predictor: 'repurchase', schedule: '1', after, isOfChanged: true, ...changes },
    ] as const;
  const madeOf = (asked: readonly NewRun[]) => asked.map(({ scope, budget }) => [scope.kind, budget]);

  it('of changed users scores only these users, or with a budget the users that it chooses', async () => {
    const plain = schedulesOf(at(26), twoSchedules(at(24)));
    await scheduleRuns(plain.dependencies);
    expect(madeOf(plain.asked)).toEqual([['stale', null]]);
    const budget = { share: 0.25 };
    const limited = schedulesOf(at(26), twoSchedules(at(24), { budget }));
    await scheduleRuns(limited.dependencies);
    expect(madeOf(limited.asked)).toEqual([['all', budget]]);
  });

  it('runs without its budget if an earlier release is alive, and records the reason', async () => {
    const schedules = twoSchedules(at(24), { budget: { share: 0.25 } }).map((one) => ({ ...one, predictor: 'mixed' }));
    const { dependencies, asked } = schedulesOf(at(26), schedules);
    expect(await scheduleRuns(dependencies)).toMatchObject({ made: [{ predictor: 'mixed' }], failed: [] });
    expect(madeOf(asked)).toEqual([
      ['all', { share: 0.25 }],
      ['stale', null],
    ]);
    expect(asked[1]).toMatchObject({ isOfChanged: true, note: 'no budget: An earlier release is alive.' });
  });

  it('of changed users yields to a schedule of all users at the same time, even if that waits', async () => {
    const same = schedulesOf(at(24), twoSchedules(at(1)));
    await scheduleRuns(same.dependencies);
    expect(madeOf(same.asked)).toEqual([['all', null]]);
    const busy = schedulesOf(
      at(24),
      twoSchedules(at(1)).map((one) => ({ ...one, predictor: 'busy' })),
    );
    await scheduleRuns(busy.dependencies);
    expect(madeOf(busy.asked)).toEqual([['all', null]]);
    // An hour later only the schedule of changed users is due.
    const later = schedulesOf(at(25), twoSchedules(at(1)));
    await scheduleRuns(later.dependencies);
    expect(madeOf(later.asked)).toEqual([
      ['all', null],
      ['stale', null],
    ]);
  });

  it('is reported if its run cannot be created, and does not delay others', async () => {
    const predictors = ['broken', 'odd', 'repurchase'];
    const { dependencies } = schedulesOf(
      at(24),
      predictors.map((predictor) => ({
        predictor,
        schedule: predictor === 'odd' ? 'no schedule' : '24',
        after: at(0),
      })),
    );
    expect(await scheduleRuns(dependencies)).toMatchObject({
      made: [{ predictor: 'repurchase' }],
      failed: [
        { predictor: 'broken', error: { message: 'its rows are locked' } },
        { predictor: 'odd', error: { message: 'no schedule is no schedule' } },
      ],
    });
  });
});
