import { expect, it } from 'vitest';
import { mixInference } from './mixed-inference.fixture.ts';

it('no caller of the Open Inference Protocol gets a row of another caller, of 60,000 rows', async () => {
  const { asked, answered, foreign, kills, byKind } = await mixInference({ rows: 60_000, seed: 1 });
  expect(foreign).toEqual([]);
  expect(asked).toBeGreaterThanOrEqual(60_000);
  expect(answered).toBeGreaterThan(asked / 4);
  const kinds = ['grpc raw', 'grpc typed', 'grpc users', 'http binary', 'http json', 'http users'];
  expect(Object.keys(byKind).sort()).toEqual(kinds);
  expect(kills).toBeGreaterThan(0);
});
