/** The pages of docs/reference say what the code says: `npm run generate` writes them anew. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { referencePages } from '../../scripts/reference/reference-pages.ts';
import { root } from '../architecture/source-tree.ts';

it.each(referencePages())('$path is what `npm run generate` writes', ({ path, text }) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(text);
});
