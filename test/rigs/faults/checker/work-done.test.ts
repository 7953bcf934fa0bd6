import { expect, it } from 'vitest';
import type { DoneRun, WorkSample } from '../history.ts';
import { createWorkDone, notDone } from './work-done.ts';

function workDone(...samples: readonly Partial<WorkSample>[]) {
  const work = createWorkDone();
  for (const sample of samples) work.take({ kind: 'work', at: 0, ended: 1, runs: [], rescored: [], ...sample });
  return work.counts;
}

const run = (said: Partial<DoneRun>): DoneRun => ({ id: '', budget: null, schedule: null, left: null, ...said });

it('counts a run as within its budget if it left users on a base', () => {
  const [share, minutes] = [{ share: 0.1 }, { cpuMinutes: 1 }];
  const counts = workDone({
    runs: [
      run({ budget: share, left: 5 }),
      // These runs scored all users: one had the budget for it, the other had no base.
      run({ budget: minutes, left: 0 }),
      run({ budget: minutes }),
      run({ budget: minutes, left: 5, schedule: 'changed' }),
      run({ schedule: 'everyone' }),
    ],
  });
  expect(Object.fromEntries(counts)).toEqual({
    'runs within a share': 1,
    'runs within CPU minutes': 1,
    'scheduled runs of changed users': 1,
    'scheduled runs of everyone': 1,
    'layered generations': 3,
    're-scored answers': 0,
  });
});

it('counts re-scored answers of each process since its start', () => {
  const told = (name: string, pid: number, answers: number) => ({ rescored: [{ name, pid, answers }] });
  const counts = workDone(told('api 1', 1, 5), told('api 2', 2, 1), told('api 1', 1, 7), told('api 1', 3, 2));
  expect(counts.get('re-scored answers')).toBe(10);
});

it('reports work that never occurred', () => {
  const counts = workDone({ runs: [run({ budget: { share: 0.1 }, left: 5, schedule: 'changed' })] });
  expect(notDone(counts)).toEqual([
    'no runs within CPU minutes: not tested in this session',
    'no scheduled runs of everyone: not tested in this session',
    'no re-scored answers: not tested in this session',
  ]);
});
