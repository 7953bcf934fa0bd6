/** Checks that each file name in these documents is the name of an existing file. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './source-tree.ts';

it.each(['ARCHITECTURE.md', 'libs/freshness/README.md'])('%s names only files that exist', (document) => {
  const text = readFileSync(join(root, document), 'utf8');
  const names = [...text.matchAll(/`([\w./-]+\.(?:ts|sql|lua|md))`/g)].map(([, name = '']) => name);
  expect(names.length).toBeGreaterThan(5);
  const known = new Set(
    globSync('{apps,libs,test,migrations,docs}/**/*.*', { cwd: root, exclude: ['**/node_modules'] }).map((path) =>
      basename(path),
    ),
  );
  const isThere = (name: string) =>
    name.includes('/')
      ? existsSync(join(root, name)) || existsSync(join(root, dirname(document), name))
      : known.has(name);
  expect(names.filter((name) => !isThere(name))).toEqual([]);
});
