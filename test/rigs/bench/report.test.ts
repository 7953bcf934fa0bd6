import { describe, expect, it } from 'vitest';
import { isMet, renderTable } from './report.ts';
import { figureOf } from './section.ts';

const machine = {
  ...{ cpu: 'a processor', cores: 2, memoryMb: 4096, node: 'v24.0.0', postgres: '18.4', redis: '8.0.2' },
  loadAtStart: 0.1,
};

describe('a figure', () => {
  it('is the median of its rounds: for an even number of rounds, the mean of the middle two', () => {
    expect(figureOf('a', 'ms', [9, 1, 5]).value).toBe(5);
    expect(figureOf('a', 'ms', [9, 1, 5, 3]).value).toBe(4);
  });

  it('meets its target if it equals the target', () => {
    expect(isMet(figureOf('a', 'ratio', [2], { least: 2 }))).toBe(true);
    expect(isMet(figureOf('a', 'ratio', [1.99], { least: 2 }))).toBe(false);
    expect(isMet(figureOf('a', 'MB', [401], { most: 400 }))).toBe(false);
    expect(isMet(figureOf('a', 'MB', [401]))).toBeNull();
  });

  it('does not meet its target if it could not be measured', () => {
    expect(isMet(figureOf('a', 'ratio', [], { least: 0 }))).toBe(false);
    expect(isMet(figureOf('a', 'ratio', [], { most: 9 }))).toBe(false);
  });
});

describe('the table', () => {
  it('has one line per figure, with a missed target and the spread of the rounds', () => {
    const figures = [figureOf('run / script', 'ratio', [1, 1.5, 3], { least: 2 })];
    const options = { users: 1, manyUsers: 1, rounds: 3, seconds: 1 };
    const sections = [{ section: 'batch', seconds: 12.4, figures, error: null }];
    const [head, , title, line] = renderTable({ date: '', commit: null, machine, options, sections }).split('\n');
    expect(head).toBe('a processor, 2 cores, 4 GB; Node v24.0.0, Postgres 18.4, Redis 8.0.2; load at start 0.1');
    expect(title).toBe('batch (12 s)');
    expect(line?.split(/ {2,}/)).toEqual(['', 'run / script', '1.5', '×', '≥ 2', 'NOT MET', '1 to 3']);
  });
});
