/**
 * Tests with an unknown model and table on a real Postgres: the config of `init` passes `check`, and `adopt` adopts it.
 */
import { classifierModel, linearModel, linearScore, memoryModel, textModel } from '@tandem/testing/onnx-models';
import { BOOL, FLOAT, field, graph, message, model, node, raw, value } from '@tandem/testing/onnx-writer';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPlace, type Place } from './strangers-table.fixture.ts';

// Each command starts processes that import the config and try the model, which takes time.
vi.setConfig({ testTimeout: 120_000 });

let place: Place;
beforeEach(async () => {
  place = await createPlace();
});
afterEach(() => place.remove());

const INIT = 'init --model m.onnx --table customers --key customer_id --predictor churn';
const parse = (text: string) => JSON.parse(text) as Record<string, unknown>;

test('a matrix: training columns are left out, nulls are reported, and the answer is that of the model', async () => {
  await place.write('m.onnx', linearModel({ weights: [0.5, -1, 2], bias: 0.1 }));
  await place.sql(`create table customers (customer_id bigint primary key, age integer, churned boolean, spent numeric(8,2),
      plan text, active boolean, updated_at timestamptz default now());
    insert into customers select n, n % 70, n % 2 = 0, case when n > 9 then null else n end, 'basic', n % 3 = 0 from generate_series(1, 10) n`);
  const init = await place.tandem(`${INIT} --json`);
  expect(init).toMatchObject({ code: 0, err: '' });
  expect(parse(init.out)).toMatchObject({
    predictor: 'churn',
    rows: 10,
    key: { column: 'customer_id', type: 'bigint', unique: 'index' },
    features: [{ column: 'age' }, { column: 'spent', sql: 'spent::float8' }, { column: 'active' }],
    asOf: 'updated_at',
    outputs: [{ field: 'score', type: 'float32' }],
    leftOut: [{ column: 'churned' }, { column: 'plan' }],
    undecided: [],
  });
  expect(await place.read('tandem.config.ts')).toContain('Users with a null are not scored: spent (1) of 10 rows.');

  await place.allowSlowReads();
  const check = await place.tandem('check --json');
  expect(check).toMatchObject({ code: 0, err: '' });
  const report = parse(check.out);
  expect(report).toMatchObject({ summary: '1 warning', samples: [{ predictor: 'churn', userId: '1' }] });
  expect(report.findings).toContainEqual(
    expect.objectContaining({ subject: 'churn users', text: '1 of 10 cannot be scored: spent is null (1)' }),
  );
  expect(report.trials).toMatchObject([
    { predictor: 'churn', parity: { users: { real: 9 } }, cost: { aloneMs: expect.any(Number), batchSize: 1024 } },
  ]);
  const [{ prediction }] = report.samples as [{ prediction: { score: number } }];
  expect(prediction.score).toBeCloseTo(linearScore([0.5, -1, 2], 0.1, [1, 1, 0]), 5);

  expect(parse((await place.tandem('adopt --json')).out)).toMatchObject({
    predictors: [{ predictor: 'churn', change: 'added' }],
    toTry: { predictor: 'churn', userId: '1' },
  });
});

test('named inputs take the columns with their names, in another schema and with uuid keys', async () => {
  await place.write('m.onnx', textModel());
  await place.sql(`create schema crm; create table crm.customers (customer_id uuid primary key, "Plan" text, "Age" numeric);
    insert into crm.customers select gen_random_uuid(), 'paid', 40 from generate_series(1, 5)`);
  expect(await place.tandem(INIT)).toMatchObject({
    code: 1,
    err: expect.stringContaining('write it with its schema: crm.customers'),
  });
  expect(await place.tandem(INIT.replace(' customers', ' crm.customers'))).toMatchObject({ code: 0, err: '' });
  await place.allowSlowReads();
  const { code, out } = await place.tandem('check --json');
  expect({ code, report: parse(out) }).toMatchObject({
    code: 0,
    report: { summary: 'no problems found', samples: [{ prediction: { score: 41 } }] },
  });
});

test('a classifier returns the probability of the second class and the label', async () => {
  await place.write('m.onnx', classifierModel());
  await place.sql(`create table customers (customer_id text primary key, visits integer, label integer);
    insert into customers values ('a', 1, 0)`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const { samples } = parse((await place.tandem('check --json')).out);
  expect(samples).toMatchObject([
    { userId: 'a', prediction: { score: expect.closeTo(1 / (1 + Math.exp(-1)), 5), label: 1 } },
  ]);
});

test('a column with the name of the key in the query, and an output of open width, work as written', async () => {
  const open = [value('score', FLOAT, ['N', 'M'])];
  const keep = raw('keep', BOOL, [2], Buffer.from([0, 1]));
  const second = node('Compress', ['features', 'keep'], ['score'], { axis: 1 });
  await place.write('m.onnx', model(graph([second], [keep], [value('features', FLOAT, ['N', 2])], open)));
  await place.sql(`create table customers (customer_id bigint primary key, age real, user_id bigint);
    insert into customers values (1, 40, 7)`);
  expect(await place.tandem(INIT)).toMatchObject({ code: 0, err: '' });
  const { code, out } = await place.tandem('check --json');
  expect({ code, report: parse(out) }).toMatchObject({
    code: 0,
    report: { samples: [{ userId: '1', prediction: { score: 7 } }] },
  });
});

test('texts lose padding blanks, and users with a NaN are counted like those with a null', async () => {
  await place.write('m.onnx', textModel());
  await place.sql(`create table customers (customer_id integer primary key, plan character(6), age float8);
    insert into customers select n, 'paid', n from generate_series(1, 20) n; update customers set age = 'NaN' where customer_id = 7`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const { code, out } = await place.tandem('check --json');
  const { findings, samples } = parse(out);
  expect(code).toBe(0);
  expect(findings).toContainEqual(
    expect.objectContaining({ text: '1 of 20 cannot be scored: age is NaN or infinite (1)' }),
  );
  expect(samples).toMatchObject([{ userId: '1', prediction: { score: 2 } }]);
});

test('one-hot texts: a text that was added later is reported as outside the categories', async () => {
  await place.write('m.onnx', linearModel({ weights: [0, 1, 2, 3] }));
  await place.sql(`create table customers (customer_id integer primary key, plan text, age integer);
    insert into customers select n, case n % 3 when 0 then 'basic' when 1 then 'free' else 'pro' end, n from generate_series(1, 30) n`);
  expect((await place.tandem(INIT)).code).toBe(0);
  await place.sql("update customers set plan = 'gold' where customer_id > 27");
  const { code, out } = await place.tandem('check --json');
  expect(code).toBe(0);
  const { findings, samples } = parse(out);
  expect(findings).toContainEqual(
    expect.objectContaining({ text: '3 of 30 cannot be scored: plan is a text outside the categories (3)' }),
  );
  expect(samples).toMatchObject([{ userId: '1', prediction: { score: expect.closeTo(1 / (1 + Math.exp(-2)), 5) } }]);
});

function namedModel(weights: number[], names: readonly string[]): Buffer {
  const entry = Buffer.concat([field(1, 'feature_names'), field(2, JSON.stringify(names))]);
  return Buffer.concat([linearModel({ weights }), message(14, [entry])]);
}

test('feature names that the table lacks are left to decide, and `check` rejects the config until then', async () => {
  await place.write('m.onnx', namedModel([1, 2], ['Temp °C', 'Is On?']));
  await place.sql(`create table customers (customer_id integer primary key, b real, a real);
    insert into customers values (7, 0, 1)`);
  const { code, out } = await place.tandem(INIT);
  expect(code).toBe(1);
  expect(out).toContain('the model names its features Temp °C, Is On?, and the table customers has no such columns');
  expect(out).not.toContain('does not name');
  expect(await place.read('tandem.config.ts')).toContain('// TO DECIDE: the model names its features Temp °C, Is On?');
  expect(await place.tandem('check')).toMatchObject({ code: 1, out: expect.stringContaining('churn.features.sql') });
});

test('feature names in the model file define the order', async () => {
  await place.write('m.onnx', namedModel([1, 100], ['spent', 'visits']));
  await place.sql(`create table customers (customer_id integer primary key, visits integer, spent real);
    insert into customers values (7, 0, 1)`);
  const init = await place.tandem(INIT);
  expect(init.out).toContain('the order is that of the feature names in the model file');
  const { samples } = parse((await place.tandem('check --json')).out);
  expect(samples).toMatchObject([{ prediction: { score: expect.closeTo(1 / (1 + Math.exp(-1)), 5) } }]);
  const config = await place.read('tandem.config.ts');
  await place.write('tandem.config.ts', config.replace(/( +spent,\n)( +)visits\n/, '$2visits,\n$2spent\n'));
  const { findings } = parse((await place.tandem('check --json')).out);
  expect(findings).toContainEqual(
    expect.objectContaining({
      level: 'warning',
      text: 'the model file has the features in another order than the query: spent, visits',
    }),
  );
});

test('columns that do not fit are left to decide, and `check` rejects the config until then', async () => {
  await place.write('m.onnx', linearModel({ weights: [1, 2] }));
  await place.sql('create table customers (customer_id integer primary key, a real, b real, c real)');
  const { code, out, err } = await place.tandem(INIT);
  expect({ code, err }).toEqual({ code: 1, err: '' });
  expect(out).toContain('3 columns of the table could be meant: a, b, c');
  expect(await place.read('tandem.config.ts')).toContain('// TO DECIDE: the model takes 2 values for each user');
  const check = await place.tandem('check');
  expect(check.code).toBe(1);
  expect(check.out).toMatch(/churn\.features\.sql.*3 columns/);
});

test('`check` names duplicate users, users without a key, and a source without an index', async () => {
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.sql(`create table customers ("Customer-ID" integer, age real);
    insert into customers select n, n from generate_series(1, 5000) n; analyze customers`);
  const init = await place.tandem(INIT.replace('customer_id', 'Customer-ID'));
  expect(init.out).toContain('create unique index on customers ("Customer-ID")');
  await place.sql('insert into customers values (3, 1), (null, 1)');
  const config = await place.read('tandem.config.ts');
  expect(config).not.toContain('where');
  const { code, out } = await place.tandem('check');
  expect(code).toBe(1);
  expect(out).toMatch(/error +churn keys +not one row for each user: 3 \(2 rows\), null \(1 rows\)/);
  expect(out).toMatch(/error +churn plan +one user: reads the whole of public\.customers/);
  expect(out).toContain('create index on public.customers ("Customer-ID")');
  expect(out).toContain('Seq Scan on customers');
});

test('if the database has events of users with another id type, `check` says so before `adopt` rejects the config', async () => {
  await place.write('m.onnx', linearModel({ weights: [1] }));
  await place.sql(`create table customers (customer_id text primary key, age real); insert into customers values ('a', 1);
    update tandem.settings set key_type = 'int8'; insert into tandem.user_contexts (user_id, version) values ('42', 1)`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const check = await place.tandem('check');
  expect(check.code).toBe(1);
  expect(check.out).toMatch(
    /error +churn keys +this database has events of users with ids of type bigint, but the ids of this query are text/,
  );
  const adopt = await place.tandem('adopt');
  expect(adopt).toMatchObject({ code: 1, err: expect.stringContaining('use another database') });
});

test('a model is tried with the memory limit with which it will be served', async () => {
  await place.write('m.onnx', memoryModel());
  await place.sql(`create table customers (customer_id integer primary key, floats real, answer real);
    insert into customers values (1, 100000000, 1)`);
  expect((await place.tandem(INIT)).code).toBe(0);
  const { code, out } = await place.tandem('check', { INFERENCE_MEMORY_MB: '256' });
  expect(code).toBe(1);
  // Either the model's process is killed, or the kernel has already refused the memory.
  expect(out).toMatch(/error +config .*churn\.model: .*(memory|256 MB|std::bad_alloc\n +→ .* within the memory of)/);
});

test('without the schema, `check` says so and checks the rest', async () => {
  const bare = await createPlace({ migrated: false });
  try {
    await bare.write('m.onnx', linearModel({ weights: [1] }));
    await bare.sql(
      'create table customers (customer_id integer primary key, age real); insert into customers values (1, 1)',
    );
    expect((await bare.tandem(INIT)).out).toContain('npx tandem migrate');
    const { code, out } = await bare.tandem('check');
    expect(code).toBe(0);
    expect(out).toMatch(/warning +schema +lacks .*\n +→ run tandem migrate/);
    expect(out).toMatch(/warning +churn parity .*no real user can be read before the schema exists/);
  } finally {
    await bare.remove();
  }
});
