import { expect, it } from 'vitest';
import { mixInference } from './mixed-inference.fixture.ts';

it('no caller of the Open Inference Protocol gets a row of another caller, of 1,000,000 rows', {
  timeout: 1_200_000,
}, async () => {
  const { asked, answered, foreign, kills, byKind } = await mixInference({ rows: 1_000_000, seed: 2 });
  expect(foreign).toEqual([]);
  expect(asked).toBeGreaterThanOrEqual(1_000_000);
  expect(answered).toBeGreaterThan(asked / 4);
  const kinds = ['grpc raw', 'grpc typed', 'grpc users', 'http binary', 'http json', 'http users'];
  expect(Object.keys(byKind).sort()).toEqual(kinds);
  expect(kills).toBeGreaterThan(0);
});
