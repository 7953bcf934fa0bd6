/** Generated pages and pictures are what the code says: `npm run generate` writes them again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { generatedFiles } from '../../scripts/reference/reference-pages.ts';
import { root } from '../architecture/source-tree.ts';

it.each(generatedFiles())('$path is what `npm run generate` writes', ({ path, text }) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(text);
});
