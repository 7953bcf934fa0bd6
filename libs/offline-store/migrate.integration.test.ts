import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isTandemError } from '@tandem/prediction/errors';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { query } from './database.ts';
import { migrate, schemaState } from './migrate.ts';
import { createTestDatabase, type TestDatabase } from './store.fixture.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
});
afterAll(() => database.drop());

test('eight processes that start at once apply each migration once, and one of them reports it', async () => {
  expect((await schemaState(database.pool)).state).toBe('missing');
  const applied = (await Promise.all(Array.from({ length: 8 }, () => migrate(database.url)))).flat();
  const state = await schemaState(database.pool);
  expect(state.state).toBe('current');
  expect(applied.sort()).toEqual([...state.applied]);
  expect(await migrate(database.pool)).toEqual([]);
});

test('a migration that fails names its file and line, and leaves those before it applied', async () => {
  const folder = await folderOf({
    '0001_first.sql': 'create table one (x int);',
    '0002_broken.sql': 'create table two (x int);\n\nselect nothing from two;',
  });
  const other = await createTestDatabase(inject('databaseUrl'));
  try {
    const error = await migrate(other.url, () => {}, folder).catch((reason: unknown) => reason);
    expect(isTandemError(error, 'config_invalid') && error.message).toContain('migrations/0002_broken.sql:3');
    const state = await schemaState(other.pool, folder);
    expect(state).toMatchObject({ state: 'behind', applied: ['0001_first'], pending: ['0002_broken'] });
    const [tables] = await query<{ two: string | null }>(other.pool, { text: `select to_regclass('two') as two` });
    expect(tables?.two).toBeNull();
  } finally {
    await other.drop();
  }
});

test('a database that a newer release migrated is ahead, and migrating it is refused', async () => {
  const folder = await folderOf({ '0001_history_and_registry.sql': 'select 1;' });
  expect((await schemaState(database.pool, folder)).state).toBe('ahead');
  await expect(migrate(database.pool, () => {}, folder)).rejects.toMatchObject({ code: 'config_invalid' });
});

async function folderOf(files: Record<string, string>): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return pathToFileURL(`${folder}/`);
}
