import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { feedHistory } from './feed-history.ts';
import { MODEL_FILE, offerModel } from './offer-model.ts';

test('the same seed gives the same history, and another seed gives another', () => {
  const [first, again, other] = [1, 1, 2].map((seed) => [...feedHistory({ seed })].join('\n'));
  expect(again).toBe(first);
  expect(other).not.toBe(first);
});

test('the model file has the coefficients', async () => {
  expect(await readFile(MODEL_FILE)).toEqual(offerModel());
});
