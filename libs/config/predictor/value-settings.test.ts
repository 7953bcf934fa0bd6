import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { problemsOf } from './config-problem.ts';
import { checkConfig } from './load-config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-config-'));
  await writeFile(join(folder, 'model.onnx'), 'model');
});
afterAll(() => rm(folder, { recursive: true }));

type Settings = Record<string, unknown>;

function check(features: Settings, other: Settings = {}) {
  const sql = 'select customer_id as user_id, visits, plan from customers';
  const churn = { model: 'model.onnx', features: { sql, ...features }, outputs: { score: 'float32' }, ...other };
  return checkConfig({ predictors: { churn } }, join(folder, 'tandem.config.ts'));
}

async function problemsIn(features: Settings, other: Settings = {}): Promise<string[]> {
  const error: unknown = await check(features, other).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return problemsOf(error).map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`);
}

test('nulls, categories and rowByRow are kept, and an array of texts means indices', async () => {
  const oneHot = { values: ['de', 'fr'], as: 'one-hot', unknown: 'zeros' };
  const { predictors } = await check(
    { nulls: { visits: 'nan', plan: 'none' }, categories: { plan: ['free', 'pro'], country: oneHot } },
    { rowByRow: true },
  );
  expect(predictors[0]).toMatchObject({
    features: {
      nulls: { visits: 'nan', plan: 'none' },
      categories: {
        plan: { values: ['free', 'pro'], encoding: 'index' },
        country: { values: ['de', 'fr'], encoding: 'one-hot', unknownAs: 'zeros' },
      },
    },
    rowByRow: true,
  });
});

test('omitted settings declare nothing', async () => {
  const { predictors } = await check({});
  expect(predictors[0]).toMatchObject({ features: { nulls: {}, categories: {} }, rowByRow: false });
});

const index = { values: ['free', 'pro'], as: 'index' };
const category = (plan: unknown) => ({ categories: { plan } });

test.each<[string, Settings, string]>([
  [
    'a null for a null',
    { nulls: { plan: null } },
    "nulls.plan: is null, not a number, 'nan', or a text for a text column",
  ],
  ['NaN itself', { nulls: { visits: Number.NaN } }, "nulls.visits: is NaN, not a number, 'nan',"],
  ['nulls without a column', { nulls: {} }, 'nulls: is empty → remove it'],
  ['categories without a column', { categories: {} }, 'categories: is empty → remove it'],
  ['a misspelt setting', { null: {} }, 'features.null: is not a setting of Tandem → write nulls'],
  ['one text', category('free'), 'categories.plan: is "free", not an array of texts, or { values, as, unknown? }'],
  ['no text', category([]), "categories.plan: is empty → write the column's texts in the model's order"],
  ['a number among texts', category(['free', 2]), 'categories.plan[1]: is 2, not a text in quotes'],
  ['a text twice', category(['free', 'free']), 'categories.plan: has "free" twice → write each text once'],
  [
    'a watch without a key',
    { watch: [{ table: 'customers' }] },
    "watch[0]: must have either key or everyone → write key: 'customer_id'",
  ],
  [
    'a watch with both key and everyone',
    { watch: [{ table: 'prices', key: 'id', everyone: true }] },
    'watch[0]: must have either key or everyone',
  ],
  [
    'a misspelt part of a watch',
    { watch: [{ tabel: 'a', table: 'b', key: 'c' }] },
    'watch[0].tabel: is not a setting of Tandem',
  ],
  ['no encoding', category({ values: ['free'] }), "categories.plan.as: is missing → write 'index' or 'one-hot'"],
  [
    'a misspelt encoding',
    category({ ...index, as: 'onehot' }),
    "plan.as: is \"onehot\", not 'index' or 'one-hot' → write 'one-hot'",
  ],
  ['a misspelt part', category({ ...index, unkown: 1 }), 'plan.unkown: is not a setting of Tandem → write unknown'],
  [
    'zeros as an index',
    category({ ...index, unknown: 'zeros' }),
    "plan.unknown: is 'zeros', but with as: 'index' an unknown text counts as a number or 'nan' → write a number or 'nan', or as: 'one-hot'",
  ],
  [
    'a number as one-hot',
    category({ ...index, as: 'one-hot', unknown: 1 }),
    "plan.unknown: is 1, but with as: 'one-hot' an unknown text counts as 'zeros' → write 'zeros', or as: 'index'",
  ],
])('%s is reported with path and remedy, and nothing else', async (_, features, message) => {
  const problems = await problemsIn(features);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(message);
});

test.each<[string, Settings, string]>([
  ['rowByRow in words', { rowByRow: 'yes' }, 'churn.rowByRow: is "yes", not true or false'],
  ['an input without columns', { inputs: { x: 'float32' } }, 'inputs.x: is "float32", not { type, columns }'],
  [
    'an input of no columns',
    { inputs: { x: { type: 'float32', columns: [] } } },
    "inputs.x.columns: is empty → name feature columns in the tensor's order",
  ],
  ['inputs without an input', { inputs: {} }, 'inputs: is empty → remove it: columns fill the inputs of a model'],
])('%s is reported with path and remedy, and nothing else', async (_, settings, message) => {
  const problems = await problemsIn({}, settings);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(message);
});
