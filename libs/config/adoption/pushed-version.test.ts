import type { ModelDefinition, Policy } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import { forgetGoneColumns, type PushedSettings, resolvePushed, type ServedVersion } from './pushed-version.ts';

const definition: ModelDefinition = {
  predictor: 'churn',
  artifactHash: 'a'.repeat(64),
  keyType: 'int8',
  query: {
    sql: 'select user_id, visits, plan, loaded_at from customers',
    columns: [
      { name: 'visits', kind: 'number', nullAs: 0 },
      {
        name: 'plan',
        kind: 'string',
        categories: { values: ['free', 'pro'], encoding: 'one-hot', unknownAs: 'zeros' },
      },
    ],
    asOf: 'loaded_at',
    overlayForMs: null,
  },
  inputs: [{ name: 'x', type: 'float32', columns: ['visits', 'plan'] }],
  outputs: [
    { name: 'score', output: 'p', type: 'float32', width: null, index: 1 },
    { name: 'rank', output: 'r', type: 'float32', width: null, index: 0 },
  ],
};
const policy = { freshness: { default: { score: 0.2, rank: 1 } }, batch: {} } as unknown as Policy;
const metadata = {
  outputs: [
    { name: 'p', type: 'float32', shape: ['N', 2] },
    { name: 'r', type: 'float32', shape: ['N', 1] },
  ],
};
const served: ServedVersion = { definition, metadata, policy };
const model = { path: 'b', bytes: Buffer.from('b'), sha256: 'b'.repeat(64) };

function pushed(said: PushedSettings, of: ServedVersion = served) {
  const result = resolvePushed(of, said, model);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.predictor;
}
const problemsOf = (said: PushedSettings, of = served) => {
  const result = resolvePushed(of, said, model);
  return result.ok ? [] : result.problems;
};

describe('settings that a push leaves out are those of the served version', () => {
  it('all settings: the columns fill the input automatically, and an output of one value needs no index', () => {
    expect(pushed({})).toEqual({
      name: 'churn',
      model,
      request: null,
      features: {
        sql: definition.query.sql,
        asOf: 'loaded_at',
        overlayForMs: null,
        nulls: { visits: 0 },
        categories: { plan: { values: ['free', 'pro'], encoding: 'one-hot', unknownAs: 'zeros' } },
      },
      inputs: null,
      outputs: [
        { name: 'score', from: 'p', type: 'float32', index: 1, width: null },
        { name: 'rank', from: 'r', type: 'float32', index: null, width: null },
      ],
      rowByRow: false,
      policy,
    });
  });

  it('the index of an output, if the number of values is unknown', () => {
    expect(pushed({}, { ...served, metadata: null }).outputs).toMatchObject([{ index: 1 }, { index: 0 }]);
  });

  it('declared inputs, which columns would not fill automatically', () => {
    const inputs = [
      { name: 'a', type: 'float32' as const, columns: ['visits'] },
      { name: 'b', type: 'float32' as const, columns: ['plan'] },
    ];
    const said = { ...served, definition: { ...definition, inputs } };
    expect(pushed({}, said).inputs).toEqual(inputs);
    expect(pushed({ inputs: null }, said).inputs).toBeNull();
  });

  it('only one of asOf and overlayFor applies', () => {
    expect(pushed({ features: { overlayFor: '36h' } }).features).toMatchObject({
      asOf: null,
      overlayForMs: 129_600_000,
    });
    expect(pushed({ features: { asOf: null } }).features).toMatchObject({ asOf: null, overlayForMs: null });
    const timed = {
      ...served,
      definition: { ...definition, query: { ...definition.query, asOf: null, overlayForMs: 1_500 } },
    };
    expect(pushed({}, timed).features).toMatchObject({ asOf: null, overlayForMs: 1_500 });
    expect(pushed({ features: { asOf: 'at' } }, timed).features).toMatchObject({ asOf: 'at', overlayForMs: null });
  });

  it('drops served settings of columns that the new query lacks; a pushed setting for such a column stays and is an error', () => {
    const sql = 'select user_id, visits, loaded_at from customers';
    const columns = [{ name: 'user_id' }, { name: 'visits' }, { name: 'loaded_at' }];
    const inherited: PushedSettings = { features: { sql } };
    expect(forgetGoneColumns(pushed(inherited), inherited, columns).features).toMatchObject({
      nulls: { visits: 0 },
      categories: {},
    });
    const wrong: PushedSettings = { features: { sql, nulls: { vists: 0 } } };
    expect(forgetGoneColumns(pushed(wrong), wrong, columns).features.nulls).toEqual({ vists: 0 });
  });
});

it('an empty setting of a push removes the stable version’s setting', () => {
  expect(pushed({ features: { nulls: {}, categories: {} } }).features).toMatchObject({ nulls: {}, categories: {} });
});

describe('a push is checked like a config', () => {
  it.each<[string, PushedSettings, string, string]>([
    [
      'a query that is not a select',
      { features: { sql: 'drop table customers' } },
      'predictors.churn.features.sql',
      'not a select',
    ],
    [
      'both asOf and overlayFor',
      { features: { asOf: 'at', overlayFor: '1h' } },
      'predictors.churn.features.overlayFor',
      'no effect',
    ],
    [
      'an invalid duration',
      { features: { overlayFor: '36' } },
      'predictors.churn.features.overlayFor',
      'not a duration',
    ],
    [
      'an unknown type',
      { outputs: { score: 'float31', rank: 'float32' } },
      'predictors.churn.outputs.score',
      'float31',
    ],
    [
      'an output for which the declared default has no value',
      { outputs: { label: 'int64' } },
      'predictors.churn.freshness.default.label',
      'is missing',
    ],
  ])('%s is refused', (_, said, path, text) => {
    const found = problemsOf(said);
    expect(found).toContainEqual(
      expect.objectContaining({ path: expect.stringContaining(path), problem: expect.stringContaining(text) }),
    );
  });
});
