import { describe, expect, it } from 'vitest';
import { type Load, weekOf } from './load.ts';
import { simulate, USUAL_WORKER } from './simulate.ts';

const SCALED = { min: 0, max: 8, holdSeconds: 300 };

describe('a simulated week', () => {
  const week = weekOf(1);
  const scaled = simulate(week, USUAL_WORKER, SCALED);

  it('is the same for the same seed, and different for another seed', () => {
    expect(simulate(weekOf(1), USUAL_WORKER, SCALED)).toEqual(scaled);
    expect(simulate(weekOf(2), USUAL_WORKER, SCALED)).not.toEqual(scaled);
  });

  it('ends each run in time, at a lower cost than the fixed number of workers that also does', () => {
    expect(scaled).toMatchObject({ runs: 217, late: 0 });
    const enough = [1, 2, 3, 4].find((fixed) => simulate(week, USUAL_WORKER, { fixed }).late === 0);
    expect(enough).toBeGreaterThan(1);
    expect(scaled.cost).toBeLessThan(0.6 * simulate(week, USUAL_WORKER, { fixed: enough ?? 0 }).cost);
  });
});

describe('a simulation', () => {
  const one: Load = { seconds: 100, runs: [{ at: 0, predictor: 'p', users: 300, deadline: 60 }], events: [] };
  const worker = { usersPerSecond: 10, lossByCompany: 0, startSeconds: 0, stepSeconds: 1 };

  it('of one worker costs the worker time, and ends a run after the time of its users', () => {
    expect(simulate(one, worker, { fixed: 1 })).toMatchObject({ cost: 100, medianSeconds: 32, late: 0 });
  });

  it('of too few workers reports the lateness of a run', () => {
    expect(simulate(one, { ...worker, usersPerSecond: 4 }, { fixed: 1 })).toMatchObject({ late: 1, latest: 17 });
  });

  it('without workers while no work waits costs nothing in that time', () => {
    const { cost, falls } = simulate(one, worker, { min: 0, max: 2, holdSeconds: 10 });
    expect([cost, falls]).toEqual([40, 1]);
  });
});
