/**
 * Tests of problems that stop `init`, on a real Postgres. Each gives a message and a remedy, and no file is written.
 */
import { randomBytes } from 'node:crypto';
import { linearModel, zipMapModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createPlace, type Place } from './strangers-table.fixture.ts';

const ROLE = `init_${randomBytes(4).toString('hex')}`;
// Each command starts processes that import the config and try the model, which takes time.
vi.setConfig({ testTimeout: 120_000 });

let place: Place;

beforeAll(async () => {
  place = await createPlace();
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.write('zip.onnx', zipMapModel());
  await place.write('page.onnx', '<html>not found</html>');
  await place.sql(`create table customers (customer_id integer primary key, age real);
    create table orders (order_id integer primary key, customer_id integer, total real);
    insert into orders values (1, 7, 10), (2, 7, 20), (3, 8, 30);
    create schema a; create table a.users (id integer primary key); create schema b; create table b.users (id integer primary key);
    create role ${ROLE} login password 'secret'`);
});
afterAll(async () => {
  await place.sql(`drop owned by ${ROLE}; drop role ${ROLE}`);
  await place.remove();
});

const init = (table: string, key: string, model = 'm.onnx') =>
  place.tandem(`init --model ${model} --table ${table} --key ${key}`);

async function nothingIsWritten(): Promise<void> {
  await expect(place.read('tandem.config.ts')).rejects.toThrow('ENOENT');
}

test.each([
  ['customer', 'customer_id', 'm.onnx', 'this database has no table or view customer', 'did you mean customers?'],
  ['users', 'id', 'm.onnx', 'this database has no table or view users', 'write it with its schema: a.users or b.users'],
  ['customers', 'custmer_id', 'm.onnx', 'customers has no column custmer_id', 'did you mean customer_id?'],
  [
    'orders',
    'customer_id',
    'm.onnx',
    'orders has several rows with the same customer_id: 7 (2 rows)',
    'group by customer_id',
  ],
  ['customers', 'customer_id', 'gone.onnx', 'does not exist', 'set --model to the path'],
  ['customers', 'customer_id', '.', 'does not exist', 'set --model to the path'],
  ['customers', 'customer_id', 'zip.onnx', 'the model gives score as a sequence', "{'zipmap': False}"],
])('table %s, key %s, model %s', async (table, key, model, problem, remedy) => {
  const { code, out, err } = await init(table, key, model);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toContain(problem);
  expect(err).toContain(remedy);
  await nothingIsWritten();
});

test('a config whose name does not end in .ts is not written, because no command would read it', async () => {
  const { code, err } = await place.tandem(
    'init --model m.onnx --table customers --key customer_id --config tandem.config.json',
  );
  expect(code).toBe(2);
  expect(err).toContain('tandem.config.json does not end in .ts');
  await expect(place.read('tandem.config.json')).rejects.toThrow('ENOENT');
});

test('a file that is not a model is rejected with its type', async () => {
  const { code, err } = await init('customers', 'customer_id', 'page.onnx');
  expect(code).toBe(1);
  expect(err).toMatch(/^tandem: .*the file is not an ONNX model: it is a web page .*page\.onnx/);
  expect(err).not.toMatch(/\n\s+at /);
  await nothingIsWritten();
});

test('a table that the user may not read is reported with the required grants', async () => {
  const url = new URL(place.databaseUrl);
  url.username = ROLE;
  url.password = 'secret';
  const line = 'init --model m.onnx --table customers --key customer_id';
  const { code, err } = await place.tandem(line, { DATABASE_URL: url.href });
  expect(code).toBe(1);
  expect(err).toContain('may not read customers');
  expect(err).toContain('grant select on customers to');
  await nothingIsWritten();
});

test('with --json, an error is a JSON document too', async () => {
  const { out } = await place.tandem('init --model m.onnx --table customer --key customer_id --json');
  expect(JSON.parse(out)).toEqual({ error: expect.objectContaining({ remedy: 'did you mean customers?' }) });
});

test('an existing config is not changed without --force', async () => {
  const mine = '// mine\n';
  await place.write('mine.config.ts', mine);
  const line = 'init --model m.onnx --table customers --key customer_id --config mine.config.ts';
  const refused = await place.tandem(line);
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('--force') });
  expect(await place.read('mine.config.ts')).toBe(mine);
  expect((await place.tandem(`${line} --force`)).code).toBe(0);
  expect(await place.read('mine.config.ts')).toContain("model: './m.onnx'");
});
