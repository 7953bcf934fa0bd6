import { linearModel } from '@tandem/testing/onnx-models';
import { expect, it } from 'vitest';
import { readFacts } from './model-facts.ts';

/** Returns a protobuf field: a text, or a number below 128. */
const field = (number: number, value: string | number | Buffer) =>
  typeof value === 'number'
    ? Buffer.from([number << 3, value])
    : Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), Buffer.from(value)]);

it('returns format, operator versions and the program that wrote the file', () => {
  const opsets = [field(8, field(2, 17)), field(8, Buffer.concat([field(1, 'ai.onnx.ml'), field(2, 3)]))];
  const bytes = Buffer.concat([field(1, 8), field(2, 'skl2onnx'), field(3, '1.17.0'), ...opsets]);
  expect(readFacts(bytes)).toEqual({
    irVersion: 8,
    producer: 'skl2onnx 1.17.0',
    opset: { 'ai.onnx': 17, 'ai.onnx.ml': 3 },
  });
});

it('returns them for a complete model', () => {
  expect(readFacts(linearModel({ weights: [1] }))).toMatchObject({ irVersion: 8, producer: 'tandem' });
});

it('removes terminal control characters, and stops where a file is damaged', () => {
  const bytes = Buffer.concat([field(2, '\u001b[2Jevil\u0000'), field(1, 8), Buffer.from([0x0a, 0x7f])]);
  expect(readFacts(bytes)).toEqual({ irVersion: 8, producer: '[2Jevil', opset: {} });
});
