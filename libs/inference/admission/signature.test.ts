import type { ModelDefinition } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import type { Signature } from '../process/protocol.ts';
import { checkSignature } from './signature.ts';

const signature: Signature = {
  inputs: [
    { name: 'visits', type: 'int64', shape: ['N'] },
    { name: 'plan', type: 'float32', shape: ['N', 3] },
  ],
  outputs: [
    { name: 'label', type: 'int64', shape: [1] },
    { name: 'probabilities', type: 'float32', shape: ['', 2] },
  ],
};
const definition: ModelDefinition = {
  predictor: 'churn',
  artifactHash: 'a',
  keyType: 'int8',
  query: {
    sql: 'select …',
    columns: [
      { name: 'visits', kind: 'integer', nullAs: 0 },
      { name: 'plan', kind: 'string', categories: { values: ['free', 'plus', 'pro'], encoding: 'one-hot' } },
    ],
    asOf: null,
    overlayForMs: null,
  },
  inputs: [
    { name: 'visits', type: 'int64', columns: ['visits'], rank: 1 },
    { name: 'plan', type: 'float32', columns: ['plan'] },
  ],
  outputs: [
    { name: 'label', output: 'label', type: 'int64', width: null, index: 0 },
    { name: 'score', output: 'probabilities', type: 'float32', width: null, index: 1 },
  ],
};
const [visits, plan] = signature.inputs;
const [visitsInput, planInput] = definition.inputs;
if (!visits || !plan || !visitsInput || !planInput) throw new Error('the fixture has two inputs');

function refusal(changed: Partial<ModelDefinition>, model: Partial<Signature> = {}) {
  try {
    checkSignature({ ...definition, ...changed }, { ...signature, ...model });
  } catch (error) {
    const { message, field, remedy } = error as { message: string; field?: string; remedy?: string };
    return `${field}: ${message} → ${remedy}`;
  }
  return null;
}

describe('checkSignature', () => {
  it('accepts inputs of rank 1, one-hot columns, and a label that the converter declared as [1]', () => {
    expect(refusal({})).toBeNull();
  });

  it('accepts a model of one user at a time only with rowByRow', () => {
    const inputs = [{ ...visits, shape: [1] }, plan];
    expect(refusal({ rowByRow: true }, { inputs })).toBeNull();
    expect(refusal({}, { inputs })).toContain('visits int64 [1] is exported for 1 user at a time');
  });

  it.each<[string, Partial<ModelDefinition>, Partial<Signature>, string]>([
    [
      'an input without a column',
      { inputs: [visitsInput] },
      {},
      "churn.inputs: the config does not fill the model's input plan float32 [N, 3] (it fills visits)",
    ],
    [
      'an input that the model does not have',
      {},
      { inputs: [visits] },
      "churn.inputs.plan: the config fills an input plan, but the model takes visits → Use the model's own names",
    ],
    [
      'another type',
      {},
      { inputs: [{ ...visits, type: 'int32' }, plan] },
      "churn.inputs.visits: the model takes visits int32 [N], but the config fills visits as int64 → Write type: 'int32' for this input.",
    ],
    [
      'another rank',
      {},
      { inputs: [{ ...visits, shape: ['N', 1] }, plan] },
      'the model takes visits int64 [N, 1], but the definition fills visits as [users] → Adopt the config again',
    ],
    [
      'another number of categories',
      {},
      { inputs: [visits, { ...plan, shape: ['N', 4] }] },
      'churn.features: the model takes 4 values a user in plan float32 [N, 4], but 1 column gives it 3 (plan; plan as one-hot 3)',
    ],
    [
      'a null that the input cannot hold',
      {
        query: { ...definition.query, columns: [{ name: 'visits', kind: 'integer', nullAs: 'nan' }] },
        inputs: [visitsInput],
      },
      { inputs: [visits] },
      "churn.features.nulls.visits: counts a null as NaN, which the model's input visits int64 [N] cannot hold → Write a number",
    ],
    [
      'a column that the query does not have',
      { inputs: [{ ...visitsInput, columns: ['vists'] }, planInput] },
      {},
      'input visits is filled from a column vists, which the feature query does not have → Fill it from one of visits, plan, or add the column to the query.',
    ],
    [
      'an output that the model does not give',
      {},
      { outputs: signature.outputs.slice(0, 1) },
      'churn.outputs.score: the config takes score from an output probabilities, but the model gives label',
    ],
  ])('refuses %s, and names both sides and the setting', (_, changed, model, message) => {
    expect(refusal(changed, model)).toContain(message);
  });
});
