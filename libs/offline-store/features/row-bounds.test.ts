import { expect, test } from 'vitest';
import { createRowBounds, MAX_BATCH_BYTES, MAX_ROW_BYTES } from './row-bounds.ts';

test('rows are kept up to a size limit for each row and one for all rows; an error names the widest column', () => {
  const bounds = createRowBounds([{ name: 'age' }, { name: 'note' }]);
  expect(bounds.accept(MAX_ROW_BYTES)).toBe(true);
  expect(bounds.accept(MAX_ROW_BYTES + 1)).toBe(false);
  const { column, why } = bounds.refuse(10 * MAX_ROW_BYTES, [8, 9.5 * MAX_ROW_BYTES]);
  expect(column).toBe('note');
  expect(why).toMatch(/^feature note has 9\.5 MiB, the row 10 MiB, and a user's row has at most 1 MiB; .*left\(note, /);

  for (let kept = MAX_ROW_BYTES; kept < MAX_BATCH_BYTES; kept += MAX_ROW_BYTES) bounds.accept(MAX_ROW_BYTES);
  expect(bounds.accept(1)).toBe(false);
  expect(bounds.refuse(1, [1, 0]).why).toMatch(
    /together have more than 256 MiB .* in age; make batch\.chunkSize smaller/,
  );
});
