import { expect, it } from 'vitest';
import { contestsOf, GOALS, KINDS } from './contests.ts';
import { ENVIRONMENTS } from './virtual-environments.ts';

it('measures each kind with one worker and with as many as there are cores', () => {
  const found = contestsOf(KINDS, ['fastapi'], 4).map(({ kind, workers }) => `${kind} ${workers}`);
  expect(found).toEqual(['stored 1', 'stored 4', 'trees 1', 'trees 4', 'dense 1', 'dense 4']);
  expect(contestsOf(['trees'], ['fastapi'], 1).map(({ workers }) => workers)).toEqual([1]);
});

it('gives Ray Serve, which is never idle, separate contests', () => {
  const servers = contestsOf(['dense'], ['fastapi', 'ray', 'mlserver'], 1).map(({ comparisons }) => [
    ...new Set(comparisons.flatMap(({ ways }) => ways.map(({ server }) => server))),
  ]);
  expect(servers).toEqual([
    ['tandem', 'fastapi', 'mlserver'],
    ['tandem', 'ray'],
  ]);
});

it('compares Tandem only with the chosen peers, and omits comparisons without a peer', () => {
  expect(contestsOf(['stored'], ['mlserver'], 2)).toEqual([]);
  const ways = contestsOf(KINDS, ['feast', 'ray'], 1).flatMap(({ comparisons }) => comparisons.map((one) => one.ways));
  expect(ways.map((some) => some.map(({ server }) => server))).toEqual([
    ['tandem', 'feast'],
    ['tandem', 'ray'],
    ['tandem', 'ray'],
    ['tandem', 'ray'],
  ]);
});

it('compares peers that are given features with Tandem that is also given features', () => {
  const found = contestsOf(['trees'], ['fastapi', 'mlserver'], 1).flatMap(({ comparisons }) => comparisons);
  expect(found.map(({ title, ways }) => [title, ways.map(({ name }) => name.includes('given'))])).toEqual([
    ['one connection, features read', [false, false]],
    ['one connection, features given', [true, true, true]],
    ['64 connections, features read', [false, false]],
    ['64 connections, features given', [true, true, true]],
  ]);
});

it('has a comparison for each goal', () => {
  const all = contestsOf(KINDS, ENVIRONMENTS, 2);
  for (const { kinds, way } of GOALS) {
    for (const kind of kinds) {
      const found = all.filter((contest) => contest.kind === kind && contest.workers === 1);
      expect(
        found.flatMap(({ comparisons }) => comparisons.flatMap(({ ways }) => ways.map((one) => one.name))),
      ).toContain(way);
    }
  }
});
