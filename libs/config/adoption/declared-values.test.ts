import type { Categories } from '@tandem/freshness/predictor';
import { expect, test } from 'vitest';
import { definitionOf, input, problemsIn, withColumn } from './adoptable.fixture.ts';
import type { ModelSignature } from './model-inputs.ts';

const withPlan = withColumn('plan', 'text');
const plans: Categories = { values: ['basic', 'pro', 'team'], encoding: 'index' };
const oneHot: Categories = { ...plans, encoding: 'one-hot' };

test('nulls and categories become part of the columns', () => {
  const features = {
    nulls: { visits: 'nan', plan: 'none' },
    categories: { plan: { ...plans, unknownAs: 'nan' as const } },
  };
  expect(definitionOf({ features }, withPlan).query.columns).toEqual([
    { name: 'visits', kind: 'integer', nullAs: 'nan' },
    { name: 'plan', kind: 'string', nullAs: 'none', categories: { ...plans, unknownAs: 'nan' } },
  ]);
  const boolean = { nulls: { visits: 1.5, active: false } };
  expect(definitionOf({ features: boolean }, withColumn('active', 'bool')).query.columns).toEqual([
    { name: 'visits', kind: 'integer', nullAs: 1.5 },
    { name: 'active', kind: 'boolean', nullAs: 0 },
  ]);
});

test('a one-hot column is as wide as its categories', () => {
  const features = { categories: { plan: oneHot } };
  expect(definitionOf({ features }, withPlan, input([null, 4])).inputs[0]?.columns).toEqual(['visits', 'plan']);
  expect(problemsIn({ features }, withPlan, input([null, 2]))).toEqual([
    "predictors.churn.features.sql: the model takes 2 values a user in features float32 [?, 2], but 2 columns give it 4 (visits, plan; plan as one-hot 3) → select exactly the model's features, in its order",
  ]);
});

type Features = { nulls?: Record<string, number | string | boolean>; categories?: Record<string, Categories> };

test.each<[string, Features, ModelSignature, string]>([
  [
    'a null of an unknown column',
    { nulls: { vists: 0 } },
    input([null, 2]),
    'features.nulls.vists: the query has no feature column of this name; it has visits, plan → write visits',
  ],
  [
    'categories of the key',
    { categories: { user_id: plans } },
    input([null, 2]),
    'features.categories.user_id: the query has no feature column of this name',
  ],
  [
    'categories of a number',
    { categories: { visits: plans } },
    input([null, 2]),
    'features.categories.visits: column visits is of kind integer, but only a text column can have categories → remove these categories, or cast the column in the query: visits::text as visits',
  ],
  [
    'a text for a number',
    { nulls: { visits: 'none' } },
    input([null, 2]),
    "features.nulls.visits: is 'none', but column visits is of kind integer → write a number, or 'nan'",
  ],
  ['true for a number', { nulls: { visits: true } }, input([null, 2]), 'is true, but column visits is of kind integer'],
  [
    'a number for a text',
    { nulls: { plan: 0 } },
    input([null, 2]),
    'features.nulls.plan: is 0, but column plan is of kind string → write a text in quotes',
  ],
  [
    'a null that is not a category',
    { nulls: { plan: 'none' }, categories: { plan: plans } },
    input([null, 2]),
    "features.nulls.plan: is 'none', which is not a category of column plan, and features.categories sets no value for unknown texts → write one of basic, pro, team, or add unknown",
  ],
  [
    'NaN in an input of integers',
    { nulls: { visits: 'nan' }, categories: { plan: plans } },
    input([null, 2], 'int64'),
    "features.nulls.visits: counts a null as NaN, which the model's input features int64 [?, 2] cannot hold → write a number; only inputs of floats take NaN",
  ],
  [
    'a fraction in an input of integers',
    { nulls: { visits: 0.5 }, categories: { plan: plans } },
    input([null, 2], 'int64'),
    'features.nulls.visits: counts a null as 0.5, which',
  ],
  [
    'an unknown text as NaN in an input of integers',
    { categories: { plan: { ...plans, unknownAs: 'nan' } } },
    input([null, 2], 'int64'),
    'features.categories.plan: counts a text of no category as NaN, which',
  ],
  [
    'an unknown text as -1 in an unsigned input',
    { categories: { plan: { ...plans, unknownAs: -1 } } },
    input([null, 2], 'uint8'),
    'features.categories.plan: counts a text of no category as -1, which',
  ],
  [
    'categories in an input of texts',
    { categories: { plan: plans } },
    {
      ...input([null, 1], 'float32'),
      inputs: [
        { name: 'visits', type: 'float32', shape: [null, 1] },
        { name: 'plan', type: 'string', shape: [null, 1] },
      ],
    },
    "features.categories.plan: column plan is of kind string with categories, which make it a number, but the model's input is plan string [?, 1] → remove it",
  ],
])('%s is refused with path and remedy', (_, features, model, message) => {
  const problems = problemsIn({ features }, withPlan, model);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(message);
});
