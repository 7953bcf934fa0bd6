import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Policy, RequestColumn, TensorType } from '@tandem/freshness/predictor';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { definitionOf, predictor, problemsIn } from '../adoption/adoptable.fixture.ts';
import { resolvePushed } from '../adoption/pushed-version.ts';
import { problemsOf } from './config-problem.ts';
import { checkConfig } from './load-config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-config-'));
  await writeFile(join(folder, 'model.onnx'), 'model');
});
afterAll(() => rm(folder, { recursive: true }));

function check(request: unknown, more: Record<string, unknown> = {}) {
  const features = { sql: 'select customer_id as user_id, visits from customers' };
  const churn = { model: 'model.onnx', features, outputs: { score: 'float32' }, request, ...more };
  return checkConfig({ predictors: { churn } }, join(folder, 'tandem.config.ts'));
}

async function problemsWith(request: unknown, more: Record<string, unknown> = {}): Promise<string[]> {
  const error: unknown = await check(request, more).catch((thrown: unknown) => thrown);
  return problemsOf(error).map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`);
}

test('a declaration becomes columns in order, with values in the form of a batch', async () => {
  const { predictors } = await check({
    amount: { type: 'number', min: 0, max: 100, default: 40, examples: [1, 2] },
    channel: { type: 'string', categories: ['web', 'app'], default: 'web' },
    express: { type: 'boolean', default: false },
    basket: { type: 'number', default: 'nan' },
    query: 'string',
  });
  expect(predictors[0]?.request).toEqual([
    { name: 'amount', kind: 'number', min: 0, max: 100, default: 40, examples: [1, 2] },
    { name: 'channel', kind: 'string', categories: { values: ['web', 'app'], encoding: 'index' }, default: 'web' },
    { name: 'express', kind: 'boolean', default: 0 },
    { name: 'basket', kind: 'number', default: null, nullAs: 'nan' },
    { name: 'query', kind: 'string' },
  ]);
  expect((await check(undefined)).predictors[0]?.request).toBeNull();
});

test.each<[unknown, string]>([
  [{}, ': is empty → remove it'],
  [
    { amount: 'decimal' },
    ".amount: is \"decimal\", not one of 'number', 'integer', 'boolean', 'string' → write one of 'number', 'integer', 'boolean', 'string'",
  ],
  [{ user_id: 'number' }, '.user_id: is not a valid feature name → write a name of 1 to 63 bytes that is not user_id'],
  [{ amount: { type: 'number', mini: 0 } }, '.amount.mini: is not a setting of Tandem → write min'],
  [{ paid: { type: 'boolean', min: 0 } }, ".paid.min: has no effect on a boolean → remove it, or write type: 'number'"],
  [
    { amount: { type: 'number', min: 5, max: 1 } },
    '.amount.max: is 1, which is less than min (5) → write a max that is not below min',
  ],
  [
    { amount: { type: 'number', max: 1, default: 2 } },
    '.amount.default: is 2, which is greater than 1 → write a finite number of at most 1',
  ],
  [
    { amount: { type: 'number', min: 0, examples: [1, -1] } },
    '.amount.examples[1]: is -1, which is less than 0 → write a finite number from 0',
  ],
  [
    { items: { type: 'integer', default: 1.5 } },
    '.items.default: is 1.5, which is not a whole number up to 2^53 → write a whole number up to 2^53',
  ],
  [{ paid: { type: 'boolean', default: 1 } }, '.paid.default: is 1, which is not true or false → write true or false'],
  [
    { amount: { type: 'number', categories: ['a'] } },
    ".amount.categories: are texts, but the type is number → remove them, or write type: 'string'",
  ],
  [
    { size: { type: 'string', categories: ['s', 'm'], default: 'l' } },
    '.size.default: is "l", which is not one of its categories → write one of "s", "m" of at most 1024 characters',
  ],
])('%j is refused with the name of the setting', async (request, expected) => {
  expect(await problemsWith(request)).toEqual([`predictors.churn.request${expected}`]);
});

test('settings that cannot be kept without defaults, or without live inference, are refused', async () => {
  const request = { amount: 'number', query: 'string' };
  const why = 'since runs score with the defaults, and amount, query have none';
  const remedy = 'remove it, or add a default to each request feature';
  expect(await problemsWith(request, { batch: { schedule: '0 2 * * *' } })).toEqual([
    `predictors.churn.batch.schedule: cannot be kept, ${why} → ${remedy}`,
  ]);
  expect(await problemsWith(request, { freshness: { refresh: { within: '2s' } } })).toEqual([
    `predictors.churn.freshness.refresh: has no effect, ${why} → ${remedy}`,
  ]);
  expect(await problemsWith(request, { freshness: { live: false } })).toEqual([
    'predictors.churn.request: has no effect with freshness.live: false, since only live inference uses features of a call → remove one of the two',
  ]);
});

test('the model takes them after the query’s columns; the name of a column, or a name that fills no input, is rejected', () => {
  const spent = { name: 'spent', kind: 'number' } as const;
  const [key, visits] = [
    { name: 'user_id', type: 'bigint' },
    { name: 'visits', type: 'int4' },
  ];
  const definition = definitionOf({ request: [spent] }, [key, visits]);
  expect(definition.query.columns.map(({ name }) => name)).toEqual(['visits']);
  expect(definition.inputs).toEqual([{ name: 'features', type: 'float32', columns: ['visits', 'spent'] }]);
  expect(definition.request).toEqual([spent]);
  expect(problemsIn({ request: [{ name: 'visits', kind: 'number' }] }, [key, visits])).toEqual([
    'predictors.churn.request.visits: has the name of a column of the feature query → rename one of the two',
  ]);
  const inputs = [{ name: 'features', type: 'float32', columns: ['visits', 'spent'] }] as const;
  expect(problemsIn({ request: [spent, { name: 'idle', kind: 'number' }], inputs }, [key, visits])).toEqual([
    "predictors.churn.request.idle: fills no input, so it would have no effect → leave it out, or add it to an input's columns",
  ]);
  expect(problemsIn({ request: [{ ...spent, default: 1e39 }] }, [key, visits])).toEqual([
    "predictors.churn.request.spent.default: is a number that the model's input features of type float32 cannot hold → choose a default that float32 holds",
  ]);
});

const CATEGORIES = { values: ['web', 'app'], encoding: 'index' } as const;

test.each<[Omit<RequestColumn, 'name'>, TensorType, string]>([
  [
    { kind: 'number' },
    'int64',
    ": request feature x is of type number, but the model's input is … → write type: 'integer'",
  ],
  [
    { kind: 'number' },
    'bool',
    ": request feature x is of type number, but the model's input is … → write type: 'boolean'",
  ],
  [
    { kind: 'integer' },
    'bool',
    ": request feature x is of type integer, but the model's input is … → write type: 'boolean'",
  ],
  [
    { kind: 'number' },
    'string',
    ": request feature x is of type number, but the model's input is … → write type: 'string'",
  ],
  [
    { kind: 'string' },
    'float32',
    ": request feature x is of type string, but the model's input is … → add categories: [ …its texts in order ], as the model was trained, or write type: 'number'",
  ],
  [
    { kind: 'string', categories: CATEGORIES },
    'string',
    ".categories: request feature x is of type string with categories, which make it a number, but the model's input is … → remove it",
  ],
  [{ kind: 'number', default: null, nullAs: 'nan' }, 'float32', ''],
  [
    { kind: 'integer', default: null, nullAs: 'nan' },
    'int64',
    ".default: counts as NaN, which the model's input … cannot hold → write a number; only inputs of floats take NaN",
  ],
  [
    { kind: 'string', categories: { ...CATEGORIES, unknownAs: 'nan' } },
    'int8',
    ".categories: counts a text of no category as NaN, which the model's input … cannot hold → write a number; only inputs of floats take NaN",
  ],
])('%j for an input of type %s is reported in terms of the config, not of SQL', (column, type, expected) => {
  const [key, visits] = [
    { name: 'user_id', type: 'bigint' },
    { name: 'visits', type: 'int4' },
  ];
  const model = {
    inputs: [
      { name: 'visits', type: 'int64', shape: ['n', 1] },
      { name: 'x', type, shape: ['n', 1] },
    ],
    outputs: [{ name: 'score', type: 'float32', shape: ['n', 1] }],
  };
  const problems = problemsIn({ request: [{ name: 'x', ...column }] }, [key, visits], model);
  const short = problems.map((text) => text.replace(`x ${type} [n, 1]`, '…'));
  expect(short).toEqual(expected === '' ? [] : [`predictors.churn.request.x${expected}`]);
});

test('if an input lacks a request feature of its name, the error names the feature and no column', () => {
  const [key, visits] = [
    { name: 'user_id', type: 'bigint' },
    { name: 'visits', type: 'int4' },
  ];
  const model = {
    inputs: [
      { name: 'visits', type: 'float32', shape: ['n', 1] },
      { name: 'amount', type: 'float32', shape: ['n', 1] },
    ],
    outputs: [{ name: 'score', type: 'float32', shape: ['n', 1] }],
  };
  const near = problemsIn({ request: [{ name: 'amuont', kind: 'number' }] }, [key, visits], model);
  expect(near[0]).toMatch(
    /^predictors\.churn\.request\.amuont: .* needs a request feature of the same name, but there is none \(there is amuont\) → name it amount; or/,
  );
  const far = problemsIn({ request: [{ name: 'x', kind: 'number' }] }, [key, visits], model);
  expect(far[0]).toContain(
    '→ select a column as amount, or declare it in request if each call sends it; or say what fills it',
  );
  const declared = [{ name: 'amount', type: 'float32', columns: ['cost'] }] as const;
  const inputs = [{ name: 'visits', type: 'float32', columns: ['visits'] } as const, ...declared];
  expect(problemsIn({ request: [{ name: 'amount', kind: 'number' }], inputs }, [key, visits], model)[0]).toContain(
    'there is no column or request feature cost; there are visits, amount',
  );
});

test('a push keeps the declaration of the served version, or replaces it', () => {
  const request = [{ name: 'spent', kind: 'number', min: 0, default: null, nullAs: 'nan' }] as const;
  const described = [
    { name: 'user_id', type: 'bigint' },
    { name: 'visits', type: 'int4' },
  ];
  const definition = definitionOf({ request }, described);
  const { policy } = predictor();
  const model = { path: '/next.onnx', bytes: Buffer.from('next'), sha256: 'b'.repeat(64) };
  const served = { definition, metadata: null, policy };
  const kept = resolvePushed(served, {}, model);
  expect(kept.ok && kept.predictor.request).toEqual(request);
  const other = resolvePushed(served, { request: { amount: 'number' } }, model);
  expect(other.ok && other.predictor.request).toEqual([{ name: 'amount', kind: 'number' }]);
  const none = resolvePushed(served, { request: null }, model);
  expect(none.ok && none.predictor.request).toBeNull();
});

test('a push is checked against the policy of its predictor', () => {
  const described = [
    { name: 'user_id', type: 'bigint' },
    { name: 'visits', type: 'int4' },
  ];
  const definition = definitionOf({ request: [{ name: 'spent', kind: 'number', default: 1 }] }, described);
  const model = { path: '/next.onnx', bytes: Buffer.from('next'), sha256: 'b'.repeat(64) };
  const { freshness, batch } = predictor().policy;
  const problemsUnder = (policy: Partial<Policy>, request: Record<string, unknown>) => {
    const served = { definition, metadata: null, policy: { freshness, batch, ...policy } };
    const pushed = resolvePushed(served, { request }, model);
    return pushed.ok ? [] : pushed.problems.map(({ path, problem }) => `${path}: ${problem}`);
  };
  const scheduled = { batch: { ...batch, schedule: '0 2 * * *', changedSchedule: '*/5 * * * *' } };
  const refreshed = { freshness: { ...freshness, refresh: { withinMs: 2_000 } } };
  const [amount, complete] = [{ amount: 'number' }, { amount: { type: 'number', default: 1 } }];
  expect(problemsUnder(scheduled, amount)).toEqual([
    'predictors.churn.batch.schedule: cannot be kept, since runs score with the defaults, and amount has none',
  ]);
  expect(problemsUnder(refreshed, amount)).toEqual([
    'predictors.churn.freshness.refresh: has no effect, since runs score with the defaults, and amount has none',
  ]);
  expect(problemsUnder({ freshness: { ...freshness, live: false } }, complete)).toEqual([
    expect.stringMatching(/^predictors\.churn\.request: has no effect with freshness\.live: false/),
  ]);
  expect(problemsUnder({ ...scheduled, ...refreshed }, complete)).toEqual([]);
});
