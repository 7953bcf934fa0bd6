/** Checks that ARCHITECTURE.md names every file that a cached read executes. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { measureFootprints, root } from './measure-footprints.ts';

it('names every file that a cached read executes', async () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const walk = text.slice(text.indexOf('## The read path'), text.indexOf('## Events'));
  const executed = [...((await measureFootprints()).get('cached read')?.keys() ?? [])];
  expect(executed.length).toBeGreaterThan(20);
  expect(executed.filter((file) => !new RegExp(`[/\`]${basename(file)}\``).test(walk))).toEqual([]);
});
