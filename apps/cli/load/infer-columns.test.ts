import { expect, test } from 'vitest';
import { addCell, described, newColumn } from './infer-columns.ts';

function infer(cells: readonly string[], isKey = false) {
  const column = newColumn('c');
  for (const cell of cells) addCell(column, cell);
  return described(column, isKey);
}

test.each<[string, string[], string]>([
  ['whole numbers', ['1', '-20', '0', '9223372036854775807'], 'bigint'],
  ['whole numbers and fractions', ['1', '2.5', '-.5', '1e-3', ' 7 '], 'double precision'],
  ['what pandas and R write for missing numbers', ['1.5', 'inf', '-inf', 'NaN'], 'double precision'],
  ['leading zeros', ['007', '1'], 'text'],
  ['ids beyond 64 bits', ['9223372036854775808'], 'text'],
  ['numbers outside the range of a double', ['1e400'], 'text'],
  ['numbers too small for a double', ['1e-400'], 'text'],
  ['true and false', ['true', 'False', 'TRUE'], 'boolean'],
  ['numbers and true', ['1', 'true'], 'text'],
  ['yes and no', ['yes', 'no'], 'text'],
  ['dates', ['2026-02-28', '2024-02-29'], 'date'],
  ['a day that does not exist', ['2026-02-28', '2026-02-29'], 'text'],
  [
    'dates and times',
    ['2026-02-28', '2026-02-28 10:00', '2026-02-28T10:00:01.5Z', '2026-02-28 10:00:01+02:00'],
    'timestamp with time zone',
  ],
  ['an hour that does not exist', ['2026-02-28 25:00'], 'text'],
  ['nothing', ['', ' '], 'text'],
  ['a text after many numbers', [...Array.from({ length: 50 }, String), 'x'], 'text'],
])('%s', (_, cells, type) => {
  expect(infer(cells).type).toBe(type);
});

test('empty cells are nulls, and so are cells of spaces, except in a column of texts', () => {
  expect(infer(['1', '', ' ', '2'])).toEqual({ name: 'c', type: 'bigint', nulls: 2 });
  expect(infer([' ', 'a', '', ' '])).toEqual({ name: 'c', type: 'text', nulls: 1 });
});

test('a key has whole numbers or texts', () => {
  expect(infer(['1', '2'], true).type).toBe('bigint');
  expect(infer(['1.5', '2'], true).type).toBe('text');
});
