import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { problemsOf } from './config-problem.ts';
import { checkConfig } from './load-config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-config-'));
  await writeFile(join(folder, 'model.onnx'), 'model');
});
afterAll(() => rm(folder, { recursive: true }));

function check(freshness: object) {
  const features = { sql: 'select customer_id as user_id, visits from customers' };
  const churn = { model: 'model.onnx', features, outputs: { score: 'float32' }, freshness };
  return checkConfig({ predictors: { churn } }, join(folder, 'tandem.config.ts'));
}

test('a window is kept, `false` turns re-scoring off, and a config without the setting keeps its policy', async () => {
  const policyOf = async (freshness: object) => (await check(freshness)).predictors[0]?.policy.freshness;
  expect(await policyOf({ refresh: { within: '5s' } })).toMatchObject({ refresh: { withinMs: 5_000 } });
  expect(await policyOf({ refresh: false })).toMatchObject({ refresh: null });
  expect(await policyOf({})).not.toHaveProperty('refresh');
});

test.each([
  [{ refresh: true }, "refresh: is true, not { within: '2s' }, or false → write { within: '2s' }, or false"],
  [
    { refresh: { within: '500ms' } },
    "refresh.within: 500ms is shorter than events take to arrive → write at least '1s'",
  ],
  [{ refresh: { within: '1h' } }, 'refresh.within: 1h is longer than 10m → at most 10m'],
  [{ refresh: { within: '2s', whithin: '2s' } }, 'refresh.whithin: is not a setting of Tandem → write within'],
  [
    { refresh: { within: '2s' }, live: false },
    'refresh: has no effect with live: false, since re-scoring infers live → remove one of the two',
  ],
  [
    { refresh: { within: '2s' }, events: [] },
    'refresh: has no effect with events: [], since no event makes a user stale → remove one of the two',
  ],
  [{ refresh: false, live: false }, null],
])('%o is judged', async (freshness, expected) => {
  const problems = await check(freshness).then(
    () => [],
    (error: unknown) => problemsOf(error),
  );
  const told = problems.map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`);
  expect(told).toEqual(expected === null ? [] : [`predictors.churn.freshness.${expected}`]);
});
