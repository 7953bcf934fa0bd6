import { describe, expect, it } from 'vitest';
import { limitOf, pageOf } from './page-query.ts';

describe('a page', () => {
  const found = (count: number) => Array.from({ length: count }, (_, i) => `row ${i + 1}`);
  const next = (count: number, limit: number) => pageOf(found(count), limit, (last) => `behind ${last}`);

  it('has the requested number of rows, and a next page only if there is one more row', () => {
    expect(next(3, 2)).toEqual({ page: ['row 1', 'row 2'], next: 'behind row 2' });
    expect(next(2, 2)).toEqual({ page: ['row 1', 'row 2'], next: null });
    expect(next(1, 2)).toEqual({ page: ['row 1'], next: null });
    expect(next(0, 2)).toEqual({ page: [], next: null });
  });

  it.each(['0', '101', '-1', '1.5', '1e1', ' 1', '', '01', '١'])('rejects limit %j and names the field', (text) => {
    expect(() => limitOf(text)).toThrow(expect.objectContaining({ code: 'invalid_input', field: 'limit' }));
  });

  it('has 20 rows by default and 100 at most', () => {
    expect([limitOf(undefined), limitOf('1'), limitOf('100')]).toEqual([20, 1, 100]);
  });
});
