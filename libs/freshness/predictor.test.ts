import { describe, expect, it } from 'vitest';
import { type ModelDefinition, modelVersionId } from './predictor.ts';

const definition: ModelDefinition = {
  predictor: 'repurchase',
  artifactHash: 'a'.repeat(64),
  keyType: 'int8',
  query: {
    sql: 'select user_id, orders, recency from customers',
    columns: [
      { name: 'orders', kind: 'integer' },
      { name: 'recency', kind: 'number' },
    ],
    asOf: 'loaded_at',
    overlayForMs: null,
  },
  inputs: [{ name: 'features', type: 'float32', columns: ['orders', 'recency'] }],
  outputs: [{ name: 'score', output: 'p', type: 'float32', width: null, index: 0 }],
};
const { query } = definition;

describe('the identity of a model version', () => {
  it('is 32 hex digits, the same in every process, so that older stored predictions are still found', () => {
    expect(modelVersionId(definition)).toMatch(/^[0-9a-f]{32}$/);
    expect(modelVersionId(definition)).toBe('232cdaddc62761e549636e536b3c919b');
  });

  it('does not depend on the order of keys, nor on settings that are no part of it', () => {
    const { outputs, inputs, predictor, ...rest } = definition;
    const reordered = { ...rest, extra: 1, outputs, inputs, predictor };
    expect(modelVersionId(reordered)).toBe(modelVersionId(definition));
  });

  const changed: readonly [string, Partial<ModelDefinition>][] = [
    ['predictor', { predictor: 'other' }],
    ['artifact', { artifactHash: 'b'.repeat(64) }],
    ['key type', { keyType: 'text' }],
    ['feature query', { query: { ...query, sql: `${query.sql} where true` } }],
    ['order of the features', { query: { ...query, columns: query.columns.toReversed() } }],
    ['kind of a feature', { query: { ...query, columns: query.columns.map((one) => ({ ...one, kind: 'number' })) } }],
    ['asOf', { query: { ...query, asOf: null } }],
    ['overlayFor', { query: { ...query, overlayForMs: 60_000 } }],
    ['name of an input', { inputs: [{ name: 'x', type: 'float32', columns: ['orders', 'recency'] }] }],
    ['type of an input', { inputs: [{ name: 'features', type: 'float64', columns: ['orders', 'recency'] }] }],
    ['columns of an input', { inputs: [{ name: 'features', type: 'float32', columns: ['recency', 'orders'] }] }],
    ['field of a prediction', { outputs: [{ name: 's', output: 'p', type: 'float32', width: null, index: 0 }] }],
    ['output', { outputs: [{ name: 'score', output: 'q', type: 'float32', width: null, index: 0 }] }],
    ['type of an output', { outputs: [{ name: 'score', output: 'p', type: 'float64', width: null, index: 0 }] }],
    ['width of an output', { outputs: [{ name: 'score', output: 'p', type: 'float32', width: 1, index: 0 }] }],
    ['index of an output', { outputs: [{ name: 'score', output: 'p', type: 'float32', width: null, index: 1 }] }],
  ];

  it.each(changed)('changes with the %s', (_, change) => {
    expect(modelVersionId({ ...definition, ...change })).not.toBe(modelVersionId(definition));
  });

  it('differs between all of these changes', () => {
    const ids = changed.map(([, change]) => modelVersionId({ ...definition, ...change }));
    expect(new Set(ids).size).toBe(changed.length);
  });
});
