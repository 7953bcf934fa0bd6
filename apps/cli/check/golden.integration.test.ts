/**
 * Tests of `check --golden` on a real table and a real model: equal predictions, reported differences, and rejected
 * files.
 */
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { FLOAT, floats, graph, model, node, value } from '@tandem/testing/onnx-writer';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';

// Each command starts processes that import the config and try the model, which takes time.
vi.setConfig({ testTimeout: 120_000 });

const WEIGHTS = [0.8, -0.5, 0.3];
const USERS = Array.from({ length: 40 }, (_, i) => ({ id: i + 1, row: [(i % 7) / 3, (i % 5) - 2, (i * 13) % 11] }));
/** The answers of the model, whose training had the columns in the order of the table. */
const scores = USERS.map(({ id, row }) => [id, linearScore(WEIGHTS, 0.1, row)] as const);

let place: Place;
/** The config that `init` writes for the table. */
let written: string;
beforeAll(async () => {
  place = await createPlace();
  await place.write('m.onnx', linearModel({ weights: WEIGHTS, bias: 0.1 }));
  const rows = USERS.map(({ id, row }) => `(${[id, ...row].join(', ')})`).join(', ');
  await place.sql(`create table customers (customer_id bigint primary key, visits float8, age float8, spent float8);
    insert into customers values ${rows}`);
  await place.tandem('init --model m.onnx --table customers --key customer_id --predictor churn');
  written = await place.read('tandem.config.ts');
});
beforeEach(() => place.write('tandem.config.ts', written));
afterAll(() => place.remove());

const csv = (rows: readonly (readonly (string | number)[])[], head = 'customer_id,score') =>
  `${[head, ...rows.map((row) => row.join(','))].join('\n')}\n`;

async function golden(content: string, options = '') {
  await place.write('golden.csv', content);
  const { code, out, err } = await place.tandem(`check --golden golden.csv --json${options}`);
  const report = JSON.parse(out) as {
    findings?: { subject: string; level: string; text: string; remedy?: string }[];
    golden?: { equal: number; differences: { userId: string }[]; order: string[] | null } | null;
  };
  const finding = report.findings?.find(({ subject }) => subject === 'churn golden');
  return { code, err, finding, comparison: report.golden };
}

test('scores of the training are equal, and rounded scores are equal within a tolerance', async () => {
  const exact = await golden(csv(scores));
  expect(exact).toMatchObject({
    code: 0,
    finding: { level: 'ok', text: expect.stringContaining('all predictions of 40 users are as expected') },
    comparison: { equal: 40, differences: [], order: null },
  });
  const rounded = csv(scores.map(([id, score]) => [id, score.toFixed(2)]));
  expect((await golden(rounded)).code).toBe(1);
  expect((await golden(rounded, ' --tolerance 0.2')).code).toBe(0);
});

test('columns in another order than in training are detected, and the right order is named', async () => {
  const config = await place.read('tandem.config.ts');
  const [visits, age] = [/^ +visits,\n/m, /^ +age,\n/m].map((pattern) => pattern.exec(config)?.[0] ?? '');
  await place.write('tandem.config.ts', config.replace(`${visits}${age}`, `${age}${visits}`));
  const { code, finding, comparison } = await golden(csv(scores));
  expect(code).toBe(1);
  expect(comparison?.order).toEqual(['visits', 'age', 'spent']);
  expect(finding?.text).toMatch(/^golden\.csv: \d+ of 40 users differ by more than 0\.0001 of the value; the worst:\n/);
  expect(finding?.text).toMatch(/user \d+: score [\d.]+ expected, [\d.]+ computed/);
  expect(finding?.remedy).toContain('with this order: visits, age, spent');
});

test('if each input takes one column by name, the columns with the values of others are named', async () => {
  const column = (name: string) => value(name, FLOAT, ['N', 1]);
  const nodes = [node('Mul', ['visits', 'two'], ['twice']), node('Sub', ['twice', 'age'], ['score'])];
  const inputs = ['visits', 'age'].map(column);
  await place.write('n.onnx', model(graph(nodes, [floats('two', [1], [2])], inputs, [column('score')])));
  await place.tandem('init --model n.onnx --table customers --key customer_id --predictor churn --force');
  const config = await place.read('tandem.config.ts');
  const exchanged = config.replace(/^( +)visits,$/m, '$1age as visits,').replace(/^( +)age(,?)$/m, '$1visits as age$2');
  await place.write('tandem.config.ts', exchanged);
  const { code, finding, comparison } = await golden(
    csv(USERS.map(({ id, row: [visits = 0, age = 0] }) => [id, 2 * visits - age])),
  );
  expect(code).toBe(1);
  expect(comparison).toMatchObject({
    order: null,
    exchange: [
      { column: 'visits', valuesOf: 'age' },
      { column: 'age', valuesOf: 'visits' },
    ],
  });
  expect(finding?.remedy).toContain('visits has the values of age, age has the values of visits');
});

test('a file that cannot be compared is rejected, and the error names the line', async () => {
  const { code, err, finding } = await golden(csv([[1, 'high']]));
  expect({ code, finding }).toEqual({ code: 1, finding: undefined });
  expect(err).toMatch(/golden\.csv, line 2: score is "high", not a number/);
});

test('one wrong score is named, and users without a row or a value do not count as equal', async () => {
  await place.sql('insert into customers values (41, null, 1, 1)');
  const rows = scores.map(([id, score]) => [id, id === 17 ? score + 0.01 : score] as const);
  const { code, finding, comparison } = await golden(csv([...rows, [41, 0.5], [99, 0.5]]));
  await place.sql('delete from customers where customer_id = 41');
  expect(code).toBe(1);
  expect(comparison).toMatchObject({
    equal: 39,
    differences: [{ userId: '17' }],
    unknown: ['99'],
    unscorable: [{ userId: '41' }],
    order: null,
  });
  expect(finding?.text).toContain('the query returns no row for 1 user: 99');
  expect(finding?.text).toMatch(/user 41: .*visits/);
});

test('options that require --golden are rejected without it', async () => {
  const { code, err } = await place.tandem('check --tolerance 0.1');
  expect({ code, err }).toEqual({
    code: 2,
    err: expect.stringContaining('--tolerance requires --golden'),
  });
});
