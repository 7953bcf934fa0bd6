/** What users with few rights may do, on a real Postgres: the grants suffice to serve, and each refusal says what to give. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createPool } from './database.ts';
import { migrate, schemaState } from './migrate.ts';
import { createPartition } from './partition.ts';
import { grantsFor, quoteName } from './rights.ts';
import { createTestDatabase, type TestDatabase } from './store.fixture.ts';

const suffix = randomBytes(4).toString('hex');
const [owner, reader] = [`owner_${suffix}`, `reader_${suffix}`];
let database: TestDatabase;
let asOwner: ReturnType<typeof createPool>;
let asReader: ReturnType<typeof createPool>;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  await database.pool.query(
    `create role ${owner} login password 'secret'; create role ${reader} login password 'secret'`,
  );
  asOwner = createPool({ url: urlOf(owner), max: 2, applicationName: 'rights-test' });
  asReader = createPool({ url: urlOf(reader), max: 2, applicationName: 'rights-test' });
});
afterAll(async () => {
  await asOwner.end();
  await asReader.end();
  for (const role of [reader, owner]) {
    await database.pool.query(`drop owned by ${role} cascade`);
    await database.pool.query(`drop role ${role}`);
  }
  await database.drop();
});

function urlOf(user: string): string {
  const url = new URL(database.url);
  url.username = user;
  url.password = 'secret';
  return url.href;
}

test('who may not create the schema is told the grant, and with it migrates', async () => {
  const [{ name } = { name: '' }] = (await database.pool.query<{ name: string }>('select current_database() as name'))
    .rows;
  const grant = `grant create on database ${name} to ${owner}`;
  await expect(migrate(asOwner)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining(`User ${owner} may not migrate: permission denied for database`),
    remedy: expect.stringContaining(grant),
  });
  await database.pool.query(grant);
  expect(await migrate(asOwner)).not.toEqual([]);
  expect((await schemaState(asOwner)).state).toBe('current');
});

test('who has no rights in the schema is told who may migrate, and which grants let it serve', async () => {
  await expect(migrate(asReader)).rejects.toMatchObject({
    code: 'config_invalid',
    message: `User ${reader} may not migrate: permission denied for schema tandem`,
    remedy: expect.stringContaining(`migrate as ${owner}`),
  });
  await expect(schemaState(asReader)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('permission denied for schema tandem'),
    remedy: expect.stringContaining(grantsFor(reader, owner)),
  });
});

test('with the grants it reads and writes, partitions made later too, sends events, and makes no partition', async () => {
  await asOwner.query(grantsFor(reader, owner));
  expect((await schemaState(asReader)).state).toBe('current');
  const later = randomUUID();
  await createPartition(asOwner, later);
  const partition = `tandem.generation_${later.replaceAll('-', '')}`;
  expect((await asReader.query(`select from ${partition}`)).rows).toEqual([]);
  await asReader.query(`update tandem.settings set key_type = 'text'`);
  await asReader.query(
    `insert into tandem.events (source, id, type, user_id) values ('shop', '1', 'order.placed', 'anna')`,
  );
  const { rows } = await asReader.query('select user_id, version::int from tandem.user_contexts');
  expect(rows).toEqual([{ user_id: 'anna', version: 1 }]);
  await expect(createPartition(asReader, randomUUID())).rejects.toMatchObject({ code: '42501' });
});

test('an application that only sends events in SQL needs to use the schema and to insert them', async () => {
  await asOwner.query(`revoke all on all tables in schema tandem from ${reader};
    revoke all on all sequences in schema tandem from ${reader}; grant insert on tandem.events to ${reader}`);
  await asReader.query(
    `insert into tandem.events (source, id, type, user_id) values ('shop', '2', 'order.placed', 'anna')`,
  );
  const { rows } = await asOwner.query('select version::int from tandem.user_contexts');
  expect(rows).toEqual([{ version: 2 }]);
});

test('a name that is not plain is written in quotation marks', () => {
  expect([quoteName('lim'), quoteName('Li"m'), quoteName('app-user')]).toEqual(['lim', '"Li""m"', '"app-user"']);
});
