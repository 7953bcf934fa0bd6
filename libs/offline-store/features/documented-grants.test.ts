/** The grants in docs/postgres.md equal the grants in messages. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { grantsFor } from '../sql/rights.ts';
import { featureGrantsFor } from './feature-login.ts';

test.each([
  { user: 'features', given: featureGrantsFor('features') },
  { user: 'reader', given: grantsFor('reader', 'tandem') },
])('docs/postgres.md gives $user the same grants as messages', async ({ user, given }) => {
  expect(await documentedGrants(user)).toEqual(given.split('; '));
});

/** Returns the statements for this user in schema tandem, in their order. */
async function documentedGrants(user: string): Promise<string[]> {
  const text = await readFile(new URL('../../../docs/postgres.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/^```sql\n(.*?)^```/gms)].map(([, sql = '']) => sql.replaceAll(/ *--.*$/gm, ''));
  const statements = blocks.flatMap((sql) => sql.split(';')).map((one) => one.replaceAll(/\s+/g, ' ').trim());
  return statements.filter((one) => /\btandem\b/.test(one) && one.endsWith(` to ${user}`));
}
