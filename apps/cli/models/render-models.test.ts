import { plain } from '@tandem/commands/command';
import { MODEL_EXAMPLE } from '@tandem/wire/models';
import { expect, test } from 'vitest';
import { renderModels } from './render-model.ts';

const now = Date.parse('2026-11-24T10:30:02Z');

test('model versions are listed with their arms, inputs and outputs', () => {
  const vector = { name: 'segment', output: 'label', type: 'string', width: 3, index: 0 };
  const old = { ...MODEL_EXAMPLE, modelVersion: '1', variants: [], outputs: [vector] };
  expect(renderModels([MODEL_EXAMPLE, old], plain, now)).toEqual([
    'predictor   version  served as  labels  artifact      came                 age          inputs               outputs',
    'repurchase        2  stable     autumn  5f1c0b7d9e3a  2026-11-20 09:30:02  4 d 1 h ago  features float32[3]  score float32',
    'repurchase        1             autumn  5f1c0b7d9e3a  2026-11-20 09:30:02  4 d 1 h ago  features float32[3]  segment string[3]',
  ]);
});

test('an archived version is marked', () => {
  const archived = { ...MODEL_EXAMPLE, variants: [], archivedAt: '2026-11-23T09:30:02.000Z' };
  expect(renderModels([archived], plain, now)[1]).toMatch(/^repurchase +2 +archived /);
});

test('an empty list says how to create a model version', () => {
  expect(renderModels([], plain, now)).toEqual(['no model version yet; adopt a config: tandem adopt']);
});
