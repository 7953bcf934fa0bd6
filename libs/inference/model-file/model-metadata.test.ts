import { linearModel } from '@tandem/testing/onnx-models';
import { expect, test } from 'vitest';
import { featureNames, readMetadata } from './model-facts.ts';

const model = linearModel({ weights: [1, 2] });

function withMetadata(key: string, value: string): Buffer {
  const text = (number: number, content: string) =>
    Buffer.from([(number << 3) | 2, content.length, ...Buffer.from(content)]);
  const entry = Buffer.concat([text(1, key), text(2, value)]);
  return Buffer.concat([model, Buffer.from([(14 << 3) | 2, entry.length]), entry]);
}

test('feature names are read from a separate entry, as JSON or with commas', () => {
  expect(featureNames(withMetadata('feature_names', '["visits","spent"]'))).toEqual(['visits', 'spent']);
  expect(featureNames(withMetadata('columns', 'visits, spent'))).toEqual(['visits', 'spent']);
});

test('a model without such an entry has no feature names', () => {
  expect(featureNames(model)).toBeNull();
  expect(featureNames(withMetadata('author', 'me'))).toBeNull();
  expect(featureNames(withMetadata('feature_names', '[1, 2]'))).toBeNull();
});

test('bytes that are not a model have no metadata', () => {
  const random = Buffer.from([0x72, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]);
  for (const bytes of [Buffer.alloc(0), random, withMetadata('columns', 'a').subarray(0, -4)]) {
    expect(readMetadata(bytes).size).toBe(0);
  }
});
