/** Checks that each file in the walk of a cached read in ARCHITECTURE.md is executed by such a read. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { measureFootprints, root } from './measure-footprints.ts';

it('executes every file that the walk of a cached read names', async () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const walk = text.slice(text.indexOf('\n1. ', text.indexOf('## A cached read')), text.indexOf('The API keeps fresh'));
  const named = [...walk.matchAll(/`([\w./-]+\.ts)`/g)].map(([, name = '']) => basename(name));
  expect(named.length).toBeGreaterThan(5);
  const executed = [...((await measureFootprints()).get('cached read')?.keys() ?? [])].map((file) => basename(file));
  // Only a label above the certified version needs it.
  expect(named.filter((name) => !executed.includes(name) && name !== 'lost-past.ts')).toEqual([]);
});
