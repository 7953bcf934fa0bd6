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

test('what only earlier releases use is dropped once no process of another release is alive', async () => {
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

test('a release whose objects a newer one dropped knows it from the schema', async () => {
  const other = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  try {
    expect((await schemaState(other.pool)).state).toBe('current');
    await other.pool.query(`insert into tandem.contract_migrations values ('9999_of_a_later_release', 'now')`);
    expect(await schemaState(other.pool)).toMatchObject({ state: 'contracted', unknown: ['9999_of_a_later_release'] });
  } finally {
    await other.drop();
  }
});

test('migrations drop no table, column or index that an earlier release may use: files of contract/ do', async () => {
  const folder = new URL('../../migrations/', import.meta.url);
  // Before, nothing kept the two apart.
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql') && file >= '0059');
  for (const file of files) {
    const text = (await readFile(new URL(file, folder), 'utf8')).replaceAll(/--.*$/gm, '');
    // An index that is built concurrently first drops what an attempt that was cut short left behind.
    expect(text.replaceAll(/drop index concurrently if exists/g, ''), file).not.toMatch(
      /\bdrop (table|column|index)\b/i,
    );
  }
});
