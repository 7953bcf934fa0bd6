import { readdir, readFile } from 'node:fs/promises';
import { expect, inject, test } from 'vitest';
import { migrate, schemaState } from './sql/migrate.ts';
import { createTestDatabase } from './store.fixture.ts';
import { contractSchema, untilUpgraded } from './upgrade.ts';

const OLD_PROCESS = `insert into tandem.processes (id, kind, host, pid, release)
  values (gen_random_uuid(), 'api', 'old', 7, '0.0.1')`;
const stillAlive = {
  code: 'unavailable',
  message: expect.stringContaining('api 0.0.1, process 7 on old'),
  remedy: expect.stringContaining('stop it'),
};

test('objects that only earlier releases use are dropped when no process of another release is running', async () => {
  const other = await createTestDatabase(inject('databaseUrl'));
  const found = async () =>
    (await other.pool.query(`select to_regclass('tandem.outcomes_in_time') is not null as index`)).rows;
  try {
    await migrate(other.url);
    await other.pool.query(OLD_PROCESS);
    await expect(contractSchema(other.url)).rejects.toMatchObject(stillAlive);
    await expect(untilUpgraded(other.pool, 0)).rejects.toMatchObject(stillAlive);
    expect(await found()).toEqual([{ index: true }]);
    const upgraded = untilUpgraded(other.pool, 60_000);
    await other.pool.query('delete from tandem.processes');
    await upgraded;
    expect(await contractSchema(other.url)).toEqual(['0001_index_of_outcomes_in_time']);
    expect(await found()).toEqual([{ index: false }]);
    expect(await contractSchema(other.url)).toEqual([]);
    expect((await schemaState(other.pool)).state).toBe('current');
    expect(await migrate(other.url)).toEqual([]);
  } finally {
    await other.drop();
  }
});

test('a release detects from the schema that a newer release dropped objects that it uses', async () => {
  const other = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  try {
    expect((await schemaState(other.pool)).state).toBe('current');
    await other.pool.query(`insert into tandem.contract_migrations values ('9999_of_a_later_release', 'now')`);
    expect(await schemaState(other.pool)).toMatchObject({ state: 'contracted', unknown: ['9999_of_a_later_release'] });
  } finally {
    await other.drop();
  }
});

test('migrations drop no table, column or index that an earlier release may use; only files of contract/ do', async () => {
  const folder = new URL('../../migrations/', import.meta.url);
  // Earlier files are not separated in this way.
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql') && file >= '0059');
  for (const file of files) {
    const text = (await readFile(new URL(file, folder), 'utf8')).replaceAll(/--.*$/gm, '');
    // A migration that builds an index concurrently first drops the remains of an interrupted attempt.
    expect(text.replaceAll(/drop index concurrently if exists/g, ''), file).not.toMatch(
      /\bdrop (table|column|index)\b/i,
    );
  }
});
