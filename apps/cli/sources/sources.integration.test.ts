/** Tests of watched sources with the CLI on a real Postgres: init, adopt, watch and unwatch. */
import { linearModel } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';

// Each command starts processes that import the config and try the model, which takes time.
vi.setConfig({ testTimeout: 120_000 });

const INIT = 'init --model m.onnx --table customers --key customer_id --predictor churn';
let place: Place;

beforeEach(async () => {
  place = await createPlace();
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.sql(`create table customers (customer_id bigint primary key, age integer);
    insert into customers select n, n from generate_series(1, 10) n`);
});
afterEach(() => place.remove());

interface Told {
  readonly subject: string;
  readonly level: string;
  readonly text: string;
}

async function sourcesBy(command: 'check --json' | 'watch --json'): Promise<readonly string[]> {
  const { out } = await place.tandem(command);
  const { findings, sources = findings } = JSON.parse(out) as { findings?: Told[]; sources?: Told[] };
  return (sources ?? [])
    .filter(({ subject }) => subject === 'churn sources')
    .map(({ level, text }) => `${level}: ${text}`);
}

test('init declares a watch of the table: check says so, adopt creates the triggers, and unwatch removes them', async () => {
  expect(await place.tandem(INIT)).toMatchObject({
    code: 0,
    out: expect.stringContaining('adopting creates triggers on the table'),
  });
  expect(await place.read('tandem.config.ts')).toContain("watch: [{ table: 'customers', key: 'customer_id' }],");
  expect(await sourcesBy('check --json')).toEqual(['ok: public.customers: watched after the adoption of the config']);
  expect((await place.tandem('adopt')).out).toContain('public.customers: watched for churn, by customer_id');
  expect(await sourcesBy('check --json')).toEqual(['ok: public.customers: watched, by customer_id']);
  expect((await place.tandem('adopt')).code).toBe(0);
  await place.sql('update customers set age = 70 where customer_id = 7');
  expect(await place.tandem('unwatch customers')).toMatchObject({
    code: 0,
    out: expect.stringContaining('public.customers: no longer watched\n'),
  });
  expect(await place.tandem('unwatch customers')).toMatchObject({
    code: 1,
    err: expect.stringContaining('is not watched'),
  });
});

test('each table of a joined query is listed, and can be watched by a separate key', async () => {
  await place.sql(`create table visits (customer bigint, at timestamptz); create table prices (product int, price float8);
    create view totals as select customer, count(*)::int as visits from visits group by customer;
    create function surcharge() returns int language sql as 'select count(*)::int from prices'`);
  await place.write(
    'tandem.config.ts',
    Buffer.from(`export default { predictors: { churn: { model: './m.onnx', outputs: { score: 'float32' }, features: {
      sql: 'select c.customer_id as user_id, coalesce(t.visits, 0) + surcharge() as n from customers c left join totals t on t.customer = c.customer_id' } } } };`),
  );
  expect((await place.tandem('adopt')).code).toBe(0);
  const unwatched = 'not watched; a change without an event takes effect at the next run or at maxAge';
  expect(await sourcesBy('watch --json')).toEqual([
    `ok: public.customers: ${unwatched}`,
    `ok: public.visits: ${unwatched}`,
    'ok: function public.surcharge: the tables that it reads are unknown',
  ]);
  expect((await place.tandem('watch')).out).toContain(
    'tandem watch public.visits --key <column with the user id>, or --everyone if a row belongs to all users',
  );
  expect((await place.tandem('watch visits')).code).toBe(2);
  expect(await place.tandem('watch totals --key customer')).toMatchObject({
    code: 1,
    err: expect.stringContaining('watch the tables that it reads: public.visits'),
  });
  expect((await place.tandem('watch visits --key customer --columns customer')).out).toContain(
    'public.visits: watched for churn',
  );
  expect(await place.tandem('watch prices --everyone')).toMatchObject({
    code: 1,
    err: expect.stringContaining('No predictor of this database reads the table.'),
  });
  expect((await place.tandem('watch prices --everyone --predictors churn')).out).toContain(
    'a change concerns every user',
  );
  await place.sql('alter table visits add column extra int; alter table visits disable trigger tandem_watch_insert');
  expect((await sourcesBy('watch --json'))[1]).toBe(
    'warning: public.visits: watched in part; missing or disabled: visits: tandem_watch_insert',
  );
  expect((await place.tandem('watch visits --key customer')).code).toBe(0);
  expect((await sourcesBy('watch --json'))[1]).toBe('ok: public.visits: watched, by customer');
  const doctor = await place.tandem('doctor --json');
  expect(doctor.out).toContain('public.visits: watched, by customer');
});

test.each(['watch a.b.c --everyone', 'watch a.b.c.d --everyone --predictors churn', 'unwatch a.b.c'])(
  '%s is rejected with the form of a table name',
  async (line) => {
    const name = line.split(' ')[1] ?? '';
    const err = `tandem: ${name} is not a name of a table in this database.\n  name it as table, or as schema.table\n`;
    expect(await place.tandem(line)).toEqual({ code: 1, out: '', err });
  },
);

test('if the query of a predictor fails, the reason is told, and nothing is said about which tables it names', async () => {
  expect((await place.tandem(INIT)).code).toBe(0);
  expect((await place.tandem('adopt')).code).toBe(0);
  await place.sql('alter table customers rename column age to years');
  const told = await sourcesBy('watch --json');
  expect(told).toEqual([
    'error: Postgres rejects the feature query: column "age" does not exist (line 3 of the query)',
    'warning: public.customers: may have missed changes, so reads are answered live: public.customers was changed',
  ]);
  expect((await place.tandem('doctor')).out).not.toContain('the query does not name it');
});

test('check and adopt reject a config that watches a view, and nothing is adopted', async () => {
  await place.sql('create view seen as select * from customers');
  await place.write(
    'tandem.config.ts',
    `export default { predictors: { churn: { model: './m.onnx', outputs: { score: 'float32' }, features: {
      sql: 'select customer_id as user_id, age from seen', watch: [{ table: 'seen', key: 'customer_id' }] } } } };`,
  );
  const why = 'public.seen is a view: its rows change in the tables that it reads.';
  expect(await place.tandem('check')).toMatchObject({
    code: 1,
    out: expect.stringContaining(`seen cannot be watched: ${why}`),
  });
  expect(await place.tandem('adopt')).toMatchObject({ code: 1, err: expect.stringContaining(why) });
  expect(await sourcesBy('watch --json')).toEqual([]);
});

const swap = () =>
  place.sql(`create table customers_new (like customers including all); insert into customers_new select * from customers;
    begin; alter table customers rename to customers_old; alter table customers_new rename to customers; commit`);

test('doctor and check warn of a declared table that lost its watch by a swap or unwatch, and adopt restores it', async () => {
  expect((await place.tandem(INIT)).code).toBe(0);
  expect((await place.tandem('adopt')).code).toBe(0);
  await swap();
  const lost =
    'warning: public.customers: no longer watched: the triggers are on public.customers_old, which had this name before';
  expect(await sourcesBy('watch --json')).toEqual([
    lost,
    'warning: public.customers_old: may have missed changes, so reads are answered live: public.customers was changed; the query does not name it',
  ]);
  expect(await sourcesBy('check --json')).toContain(lost);
  const doctor = await place.tandem('doctor');
  expect(doctor.out).toMatch(
    /no longer watched.*\n +→ tandem adopt, or tandem watch public.customers --key customer_id --predictors churn; then/,
  );

  expect((await place.tandem('adopt')).code).toBe(0);
  await place.sql('drop table customers_old');
  expect(await sourcesBy('watch --json')).toEqual(['ok: public.customers: watched, by customer_id']);
  expect((await place.tandem('watch')).out).toMatch(
    /public.customers_old: the table was dropped, but its watch remains\n +→ tandem unwatch public.customers_old/,
  );
  expect((await place.tandem('unwatch public.customers_old')).code).toBe(0);

  expect((await place.tandem('unwatch public.customers')).out).toMatch(
    /^public.customers: no longer watched\n.*features\.watch of the adopted config names this table/,
  );
  const unwatched = 'warning: public.customers: not watched, although features.watch of the adopted config names it';
  expect(await sourcesBy('watch --json')).toEqual([unwatched]);
  expect(await sourcesBy('check --json')).toEqual([unwatched]);
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/watch: \[.*\],\n/, ''));
  expect((await place.tandem('adopt')).code).toBe(0);
  expect((await sourcesBy('watch --json'))[0]).toMatch(/^ok: public.customers: not watched; a change without an event/);
});

test('a swap of a table that the CLI watches is detected too, and the command in the remedy watches it again', async () => {
  expect((await place.tandem(INIT)).code).toBe(0);
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/watch: \[.*\],\n/, ''));
  expect((await place.tandem('adopt')).code).toBe(0);
  expect((await place.tandem('watch customers --key customer_id')).code).toBe(0);
  await swap();
  const { sources } = JSON.parse((await place.tandem('watch --json')).out) as { sources: { remedy?: string }[] };
  expect(sources[0]?.remedy).toMatch(/^tandem watch public.customers --key customer_id --predictors churn; then score/);
  expect((await place.tandem('watch public.customers --key customer_id --predictors churn')).code).toBe(0);
  expect((await sourcesBy('watch --json'))[0]).toBe('ok: public.customers: watched, by customer_id');
});

test('a served query whose table is missing is an error that quotes Postgres', async () => {
  expect((await place.tandem(INIT)).code).toBe(0);
  expect((await place.tandem('adopt')).code).toBe(0);
  await place.sql('alter table customers rename to clients');
  const [refused] = await sourcesBy('watch --json');
  expect(refused).toMatch(/^error: Postgres rejects the feature query: relation "\w*\.?customers" does not exist/);
  expect((await place.tandem('doctor')).out).toMatch(/error +churn sources +Postgres rejects the feature query/);
});
