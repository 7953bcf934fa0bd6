import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase } from '@tandem/testing/databases';
import { expect, inject, test } from 'vitest';
import { describeDatabase } from '../../scripts/generate-database.ts';
import { root } from '../architecture/source-tree.ts';

test("Kysely's types of the tables are those of the migrated schema: npm run generate", async () => {
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
