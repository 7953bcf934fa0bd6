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

function check(explanations: unknown) {
  const features = { sql: 'select customer_id as user_id, visits from customers' };
  const churn = { model: 'model.onnx', features, outputs: { score: 'float32' }, explanations };
  return checkConfig({ predictors: { churn } }, join(folder, 'tandem.config.ts'));
}

test('answers of a share of the users are kept for 30 days by default', async () => {
  const { predictors } = await check({ share: 0.01 });
  expect(predictors[0]?.policy.explanations).toEqual({ share: 0.01, keepForMs: 30 * 86_400_000 });
  const shorter = await check({ share: 1, keepFor: '12h' });
  expect(shorter.predictors[0]?.policy.explanations).toEqual({ share: 1, keepForMs: 43_200_000 });
  expect((await check(undefined)).predictors[0]?.policy).not.toHaveProperty('explanations');
});

test.each([
  [{ share: 0 }, 'share: is 0: no answer would be kept → remove explanations, or write a share above 0, up to 1'],
  [{ share: -1 }, 'share: is -1: no answer would be kept → remove explanations, or write a share above 0, up to 1'],
  [{ share: 0.00001 }, 'share: is 0.00001: less than one user in ten thousand → write at least 0.0001'],
  [{ share: 5 }, 'share: is 5, not a number above 0, up to 1 → write a number above 0, up to 1'],
  [{ keepFor: '1d' }, 'share: is missing → write a number above 0, up to 1'],
  [{ share: 1, keepFor: '30s' }, "keepFor: 30s is too short for an operator to look → write at least '1m'"],
  [{ share: 1, keepFor: '366d' }, 'keepFor: 366d is longer than 365d → at most 365d'],
  [{ share: 1, keepfor: '1d' }, 'keepfor: is not a setting of Tandem → write keepFor'],
])('%o is refused with the name of the setting', async (explanations, expected) => {
  const error: unknown = await check(explanations).catch((thrown: unknown) => thrown);
  expect(problemsOf(error).map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`)).toEqual([
    `predictors.churn.explanations.${expected}`,
  ]);
});
