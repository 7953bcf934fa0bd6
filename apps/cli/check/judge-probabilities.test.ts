import { expect, test } from 'vitest';
import { judgeProbabilities } from './predict-sample.ts';

const sampleOf = (prediction: Record<string, number | string | number[]>) => ({ userId: '7', prediction });

test('values from 0 to 1 are probabilities, and fields with other names may have any values', () => {
  expect(judgeProbabilities(sampleOf({ probabilities: [0, 0.3, 1.000001], label: 'a' }))).toEqual([]);
  expect(judgeProbabilities(sampleOf({ scores: [-1.2, 3] }))).toEqual([]);
});

test('check warns of margins that are named probabilities, as of an SVC without probabilities', () => {
  expect(judgeProbabilities(sampleOf({ probabilities: [2.2, 1.1, -0.25] }))).toMatchObject([
    {
      level: 'warning',
      subject: 'outputs',
      text: expect.stringContaining('probabilities of user 7 has the value 2.2, which is not a probability'),
      remedy: expect.stringContaining('rename the field'),
    },
  ]);
});
