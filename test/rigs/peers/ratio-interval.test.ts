import { expect, it } from 'vitest';
import { medianInterval } from './ratio-interval.ts';

it('takes the second and the eighth of nine values, with a confidence of 96 %', () => {
  const { median, low, high, confidence } = medianInterval([9, 1, 8, 2, 7, 3, 6, 4, 5]);
  expect({ median, low, high }).toEqual({ median: 5, low: 2, high: 8 });
  expect(confidence).toBeCloseTo(0.961, 3);
});

it('takes the sixth and the fifteenth of twenty values', () => {
  const { low, high, confidence } = medianInterval(Array.from({ length: 20 }, (_, i) => i + 1));
  expect({ low, high }).toEqual({ low: 6, high: 15 });
  expect(confidence).toBeCloseTo(0.959, 3);
});

it('reports a low confidence for three values', () => {
  const { low, high, confidence } = medianInterval([1, 2, 3]);
  expect({ low, high, confidence }).toEqual({ low: 1, high: 3, confidence: 0.75 });
});
