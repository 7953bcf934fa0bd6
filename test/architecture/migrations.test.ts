/**
 * Checks that no migration was edited after its merge, since databases that have applied it would keep the earlier text.
 * A new migration is recorded by `(cd migrations && sha256sum *.sql contract/*.sql) > test/architecture/migrations.sha256`.
 */
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './source-tree.ts';

it('every migration has the text with which it was recorded', () => {
  const folder = join(root, 'migrations');
  const recorded = readFileSync(join(import.meta.dirname, 'migrations.sha256'), 'utf8')
    .trim()
    .split('\n');
  const hashOf = (file: string) =>
    createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex');
  const found = globSync('**/*.sql', { cwd: folder }).map((file) => `${hashOf(file)}  ${file}`);
  expect(found.toSorted()).toEqual(recorded.toSorted());
});
