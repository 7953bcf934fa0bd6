/** Checks that generated pages and pictures match the code. `npm run generate` writes them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { generatedFiles } from '../../scripts/reference/reference-pages.ts';
import { root } from '../architecture/source-tree.ts';

it.each(generatedFiles())('$path equals the output of `npm run generate`', ({ path, text }) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(text);
});
