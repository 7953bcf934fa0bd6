import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { createPaint } from '../command.ts';
import { nextTenth, renderProgressBar, renderTenth } from './progress.ts';
import { ago, count, duration, moment, printable, renderFields, renderTable } from './text.ts';

const terminal = { write: () => true, isTTY: true };

test('colours appear only on a terminal, and not if NO_COLOR is set', () => {
  expect(createPaint(terminal, {})('bad', 'x')).toBe('\u001b[31mx\u001b[39m');
  for (const [stream, env] of [
    [terminal, { NO_COLOR: '1' }],
    [terminal, { TERM: 'dumb' }],
    [{ write: () => true }, {}],
  ] as const) {
    expect(createPaint(stream, env)('bad', 'x')).toBe('x');
  }
});

test('columns are aligned for cells with any colours', () => {
  const paint = createPaint(terminal, {});
  const lines = renderTable(
    [{ title: 'state' }, { title: 'users', align: 'right' }],
    [
      [paint('good', 'done'), '2,357'],
      ['cancelled', '7'],
    ],
  );
  expect(lines.map(stripVTControlCharacters)).toEqual(['state      users', 'done       2,357', 'cancelled      7']);
  expect(
    renderFields([
      ['a', '1'],
      ['long', ''],
    ]),
  ).toEqual(['a     1', 'long']);
});

test('text from other sources cannot move the cursor or change colours', () => {
  expect(printable('a\u001b[2Jb\u009b\r\n')).toBe('a?[2Jb???');
});

test.each([
  [12, '12 ms'],
  [840, '0.8 s'],
  [9_960, '10 s'],
  [59_600, '1 min'],
  [200_000, '3 min 20 s'],
  [31_842_000, '8 h 50 min'],
  [187_200_000, '2 d 4 h'],
])('%i ms is rendered as %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test('moments and counts', () => {
  expect(moment('2026-11-24T02:00:11.250Z')).toBe('2026-11-24 02:00:11');
  expect(ago('2026-11-24T02:00:00Z', Date.parse('2026-11-24T03:30:00Z'))).toBe('1 h 30 min ago');
  expect(ago(null, 0)).toBe('never');
  expect(count(1234567)).toBe('1,234,567');
});

test('a bar fits its terminal and never exceeds 100 %', () => {
  const bar = renderProgressBar({ done: 1200, total: 2357, elapsedMs: 800 }, 'users', 100);
  expect(bar).toBe('[############------------]  50 %  1,200/2,357 users  0.8 s');
  expect(renderProgressBar({ done: 1200, total: 2357, elapsedMs: 800 }, 'users', 20)).toHaveLength(19);
  expect(renderProgressBar({ done: 3000, total: 2357, elapsedMs: 0 }, 'users', 100)).toContain('100 %');
  expect(renderProgressBar({ done: 5, total: 0, elapsedMs: 0 }, 'users', 100)).toContain('  0 %  5/? users');
});

test('without a terminal, each tenth is reported once', () => {
  const at = (done: number) => ({ done, total: 1000, elapsedMs: 500 });
  expect(nextTenth(at(99), 0)).toBeUndefined();
  expect(nextTenth(at(350), 0)).toBe(3);
  expect(nextTenth(at(390), 3)).toBeUndefined();
  expect(renderTenth(at(350), 3, 'users')).toBe(' 30 %  350/1,000 users  0.5 s');
});
