import { expect, inject, test } from 'vitest';
import { contract } from './contract.ts';
import { migrate, schemaState } from './sql/migrate.ts';
import { createTestDatabase } from './store.fixture.ts';

test('what only earlier releases use is dropped once no process of another release is alive', async () => {
  const other = await createTestDatabase(inject('databaseUrl'));
  const found = async () =>
    (await other.pool.query(`select to_regclass('tandem.outcomes_in_time') is not null as index`)).rows;
  try {
    await migrate(other.url);
    await other.pool.query(`insert into tandem.processes (id, kind, host, pid, release)
      values (gen_random_uuid(), 'api', 'old', 7, '0.0.1')`);
    await expect(contract(other.url)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('api 0.0.1, process 7 on old'),
      remedy: expect.stringContaining('tandem migrate --contract'),
    });
    expect(await found()).toEqual([{ index: true }]);
    await other.pool.query('delete from tandem.processes');
    expect(await contract(other.url)).toEqual(['0001_index_of_outcomes_in_time']);
    expect(await found()).toEqual([{ index: false }]);
    expect(await contract(other.url)).toEqual([]);
    expect((await schemaState(other.pool)).state).toBe('current');
    expect(await migrate(other.url)).toEqual([]);
  } finally {
    await other.drop();
  }
});
