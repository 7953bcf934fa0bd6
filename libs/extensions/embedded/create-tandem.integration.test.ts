/** Tests of the start of an embedded reader with addresses that no waiting makes right. */
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createTandem } from './create-tandem.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());

const open = (parts: Partial<URL>) => {
  const { href } = Object.assign(new URL(database.url), parts);
  return createTandem({ database: href, redis: 'redis://127.0.0.1:1', live: false, logLevel: 'silent' });
};

test('a wrong password rejects the start, and the error has the reason and the remedy', async () => {
  const name = 'Postgres rejects the connection that database.url asks for';
  await expect(open({ username: 'nope', password: 'x' })).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'database.url',
    message: `${name}: password authentication failed for user "nope".`,
    remedy: 'correct the password in database.url',
  });
});

test('an unknown database rejects the start', async () => {
  await expect(open({ pathname: '/no_such_database' })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('database "no_such_database" does not exist'),
    remedy: 'create the database (createdb), or correct its name in database.url',
  });
});

test('a database that is down does not reject the start, because it may come back', async () => {
  const tandem = await open({ port: '1' });
  await expect(tandem.read('churn', '1')).rejects.toMatchObject({ code: 'unavailable' });
  await tandem.close();
});
