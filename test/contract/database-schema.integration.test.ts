import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase } from '@tandem/testing/databases';
import { expect, inject, test } from 'vitest';
import { describeDatabase, unionOf } from '../../scripts/generate-database.ts';
import { root } from '../architecture/source-tree.ts';

test("Kysely's types match the migrated schema; if not, run npm run generate", async () => {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const pool = createPool({ url: database.url, max: 1, applicationName: 'database-schema-test' });
  try {
    const kept = await readFile(join(root, 'libs/offline-store/sql/database-schema.ts'), 'utf8');
    expect(await describeDatabase(pool)).toBe(kept);
  } finally {
    await pool.end();
    await database.drop();
  }
});

test('a check that lists texts becomes a union; any other list and two lists are rejected', () => {
  const listOf = (values: string) => `CHECK ((state = ANY (ARRAY[${values}])))`;
  const states = listOf("'a'::text, 'b, c'::text");
  expect(unionOf(['CHECK ((length(state) < 9))', states])).toBe("'a' | 'b, c'");
  expect(unionOf(['CHECK ((length(state) < 9))'])).toBeUndefined();
  const refused = [
    [states, listOf("'a'::text")],
    [listOf('1, 2')],
    [listOf("'it''s'::text")],
    [states.replace('))', ') OR a)')],
  ];
  for (const checks of refused) expect(() => unionOf(checks)).toThrow('no union of texts');
});
