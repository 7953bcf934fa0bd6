/** Checks that nothing of Tandem deletes rows of tandem.user_contexts: their versions must never start again. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readSourceTexts, root } from '../architecture/source-tree.ts';

const DELETES =
  /(?:delete\s+from|truncate|drop\s+table)\b[^;`]{0,120}\buser_contexts\b|deleteFrom\(\s*['"](?:tandem\.)?user_contexts|table: 'user_contexts'/i;

function statements(): { path: string; code: string }[] {
  const folders = ['migrations', 'migrations/contract'];
  const migrations = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.sql'))
      .map(({ name }) => ({ path: `${folder}/${name}`, code: readFileSync(join(root, folder, name), 'utf8') })),
  );
  const product = readSourceTexts().filter(
    ({ path, isTest }) => /^(apps|libs)\//.test(path) && !isTest && !path.includes('.fixture.'),
  );
  return [...migrations, ...product].map(({ path, code }) => ({ path, code: withoutComments(code) }));
}

function withoutComments(code: string): string {
  return code.replaceAll(/^\s*(?:--|\/\/|\/?\*).*$/gm, '');
}

it('no migration and no statement deletes the context of a user', () => {
  const all = statements();
  expect(all.length).toBeGreaterThan(500);
  expect(all.filter(({ code }) => DELETES.test(code)).map(({ path }) => path)).toEqual([]);
});

it.each([
  'delete from tandem.user_contexts where updated_at < now()',
  'truncate tandem.outbox, tandem.user_contexts',
  "db.deleteFrom('tandem.user_contexts')",
  "{ table: 'user_contexts', horizon: HORIZON },",
])('finds the deletion in %s', (code) => {
  expect(DELETES.test(withoutComments(code))).toBe(true);
});
