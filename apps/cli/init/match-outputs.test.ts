import type { SignatureTensor } from '@tandem/inference/process/protocol';
import { expect, test } from 'vitest';
import { matchOutputs } from './match-outputs.ts';

const tensor = (name: string, type: string | null, ...shape: (number | string)[]): SignatureTensor => ({
  name,
  type,
  shape,
});
const outputsOf = (...tensors: SignatureTensor[]) => {
  const match = matchOutputs(tensors);
  if (!match.ok) throw new Error(match.problem);
  return match.outputs.map(({ note, ...output }) => output);
};

test('one value keeps its name if it is meaningful; otherwise it is a score', () => {
  expect(outputsOf(tensor('risk', 'float32', 'N', 1))).toEqual([{ field: 'risk', from: 'risk', type: 'float32' }]);
  for (const name of ['variable', 'output_0', '619', 'dense_2']) {
    expect(outputsOf(tensor(name, 'float32', 'N', 1))).toEqual([{ field: 'score', from: name, type: 'float32' }]);
  }
});

test('for two classes, the score is the probability of the second, in any order of the outputs', () => {
  const label = tensor('output_label', 'int64', 'N');
  const probabilities = tensor('output_probability', 'float32', 'N', 2);
  const expected = [
    { field: 'score', from: 'output_probability', type: 'float32', index: 1 },
    { field: 'label', from: 'output_label', type: 'int64' },
  ];
  expect(outputsOf(label, probabilities)).toEqual(expected);
  expect(outputsOf(probabilities, label)).toEqual(expected);
});

test('for several classes, all probabilities are kept', () => {
  expect(outputsOf(tensor('label', 'string', 'N'), tensor('probabilities', 'float32', 'N', 3))).toMatchObject([
    { field: 'probabilities', width: 3 },
    { field: 'label', type: 'string' },
  ]);
});

test.each([
  // KMeans from skl2onnx: the distances to the centres.
  ['scores', 3],
  ['scores', 2],
  ['distances', 5],
  ['logits', 2],
])('values beside a label keep their name if it is not that of probabilities: %s', (name, width) => {
  const label = { field: 'label', from: 'label', type: 'int64' };
  const values = { field: name, from: name, type: 'float32', width };
  const match = matchOutputs([tensor('label', 'int64', 'N'), tensor(name, 'float32', 'N', width)]);
  expect(match).toMatchObject({ ok: true, outputs: [label, values] });
  expect(match.ok && match.outputs[1]?.note).toContain('does not say whether they are distances');
});

test('values beside a label without a meaningful name are scores, not probabilities', () => {
  expect(outputsOf(tensor('output_0', 'int64', 'N'), tensor('output_1', 'float32', 'N', 3))).toEqual([
    { field: 'label', from: 'output_0', type: 'int64' },
    { field: 'scores', from: 'output_1', type: 'float32', width: 3 },
  ]);
  expect(outputsOf(tensor('label', 'int64', 'N'), tensor('scores', 'float32', 'N', 'M'))).toEqual([
    { field: 'label', from: 'label', type: 'int64' },
    { field: 'scores', from: 'scores', type: 'float32', index: 0 },
  ]);
});

test('vectors have their width, and several outputs have different names', () => {
  expect(outputsOf(tensor('embedding', 'float32', 'N', 16), tensor('output_1', 'float32', 'N', 1))).toEqual([
    { field: 'embedding', from: 'embedding', type: 'float32', width: 16 },
    { field: 'output_1', from: 'output_1', type: 'float32' },
  ]);
});

test('ZipMap is rejected, and the remedy says how to export without it', () => {
  expect(matchOutputs([tensor('label', 'int64', 'N'), tensor('probabilities', null)])).toMatchObject({
    ok: false,
    problem: expect.stringContaining('gives probabilities as a sequence'),
    remedy: expect.stringContaining("'zipmap': False"),
  });
});

test('if the model does not say how many values there are, the first is taken', () => {
  expect(outputsOf(tensor('risk', 'float32', 'N', 'M'))).toEqual([
    { field: 'risk', from: 'risk', type: 'float32', index: 0 },
  ]);
  expect(matchOutputs([tensor('risk', 'float32')])).toMatchObject({
    ok: true,
    outputs: [{ field: 'risk', index: 0, note: expect.stringContaining('declares no shape') }],
  });
});
