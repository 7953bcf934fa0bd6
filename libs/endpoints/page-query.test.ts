import { describe, expect, it } from 'vitest';
import { limitOf, pageOf } from './page-query.ts';

describe('a page', () => {
  const found = (count: number) => Array.from({ length: count }, (_, i) => `row ${i + 1}`);
  const next = (count: number, limit: number) =>
    pageOf(
      { limit },
      async (asked) => found(count).slice(0, asked.limit),
      (last) => `behind ${last}`,
    );

  it('has the requested number of rows, and a next page only if there is one more row', async () => {
    expect(await next(3, 2)).toEqual({ page: ['row 1', 'row 2'], next: 'behind row 2' });
    expect(await next(2, 2)).toEqual({ page: ['row 1', 'row 2'], next: null });
    expect(await next(1, 2)).toEqual({ page: ['row 1'], next: null });
    expect(await next(0, 2)).toEqual({ page: [], next: null });
  });

  it.each(['0', '101', '-1', '1.5', '1e1', ' 1', '', '01', '١'])('rejects limit %j and names the field', (text) => {
    expect(() => limitOf(text)).toThrow(expect.objectContaining({ code: 'invalid_input', field: 'limit' }));
  });

  it('has 20 rows by default and 100 at most', () => {
    expect([limitOf(undefined), limitOf('1'), limitOf('100')]).toEqual([20, 1, 100]);
  });
});
