import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { problemsIn as adoptionProblems } from '../adoption/adoptable.fixture.ts';
import { problemsOf } from './config-problem.ts';
import { checkConfig } from './load-config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-config-'));
  await writeFile(join(folder, 'model.onnx'), 'model');
});
afterAll(() => rm(folder, { recursive: true }));

const outputs = { score: 'float32', label: 'string', top: { from: 'top', type: 'float32', width: 3 } };

function check(settings: Record<string, unknown>) {
  const features = { sql: 'select customer_id as user_id, visits, plan from customers' };
  const churn = { model: 'model.onnx', features, outputs, ...settings };
  return checkConfig({ predictors: { churn } }, join(folder, 'tandem.config.ts'));
}

async function problemsIn(settings: Record<string, unknown>): Promise<string[]> {
  const error: unknown = await check(settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return problemsOf(error).map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`);
}

test('decision, segments and thresholds are kept, with defaults for omitted ones', async () => {
  const decision = { output: 'score', threshold: 0.7 };
  const { predictors } = await check({ decision, segments: ['plan'], publish: { maxPsi: 0.25, reportTimeout: '30s' } });
  const none = { maxFlipRate: null, maxMeanDelta: null, minCoverage: null };
  expect(predictors[0]?.policy).toMatchObject({
    decision,
    segments: ['plan'],
    publish: { ...none, maxPsi: 0.25, minUsers: 100, reportTimeoutMs: 30_000 },
  });
});

test('onTimeout and planTimeout are kept', async () => {
  const { predictors } = await check({
    publish: { minCoverage: 0.9, onTimeout: 'publish' },
    batch: { planTimeout: '5m' },
  });
  expect(predictors[0]?.policy.publish?.onTimeout).toBe('publish');
  expect(predictors[0]?.policy.batch.planTimeoutMs).toBe(300_000);
});

test('a policy without these settings is the same as in earlier releases', async () => {
  const { predictors } = await check({});
  expect(Object.keys(predictors[0]?.policy ?? {})).toEqual(['freshness', 'batch']);
});

test.each<[string, Record<string, unknown>, string]>([
  [
    'a decision on no output',
    { decision: { output: 'scores', threshold: 0.7 } },
    "predictors.churn.decision.output: 'scores' is not an output of this predictor → write score",
  ],
  [
    'a decision on a text',
    { decision: { output: 'label', threshold: 0.7 } },
    "predictors.churn.decision.output: 'label' is not a single number, so it cannot reach a threshold → use one of score",
  ],
  [
    'a decision on a vector',
    { decision: { output: 'top', threshold: 0.7 } },
    "predictors.churn.decision.output: 'top' is not a single number, so it cannot reach a threshold → use one of score",
  ],
  [
    'flips without a decision',
    { publish: { maxFlipRate: 0.1 } },
    'predictors.churn.publish.maxFlipRate: has no effect without `decision` → add decision: { output, threshold }, or remove maxFlipRate',
  ],
  [
    'a numeric threshold without a numeric output',
    { outputs: { label: 'string' }, publish: { maxPsi: 0.2 } },
    'predictors.churn.publish.maxPsi: has no effect: no output is a single number → remove maxPsi',
  ],
  [
    'minUsers of no threshold',
    { publish: { minUsers: 5, minCoverage: 0.9 } },
    'predictors.churn.publish.minUsers: has no effect without a threshold that it applies to → remove minUsers, or add maxPsi, maxFlipRate or maxMeanDelta',
  ],
  [
    'onTimeout of no threshold',
    { publish: { onTimeout: 'publish' } },
    'predictors.churn.publish.onTimeout: has no effect without a threshold that it applies to → remove onTimeout, or add maxPsi, maxFlipRate, maxMeanDelta or minCoverage',
  ],
  [
    'another word for onTimeout',
    { publish: { maxPsi: 0.2, onTimeout: 'wait' } },
    "predictors.churn.publish.onTimeout: is \"wait\", not 'hold' or 'publish' → write 'hold' or 'publish'",
  ],
  [
    'a segment twice',
    { segments: ['plan', 'plan'] },
    "predictors.churn.segments[1]: 'plan' is listed twice → remove it",
  ],
  [
    'a share above 1',
    { publish: { minCoverage: 90 } },
    'predictors.churn.publish.minCoverage: is 90, not a number from 0 to 1 → write a number from 0 to 1',
  ],
  [
    'a misspelt setting',
    { publish: { maxPSI: 0.2 } },
    'predictors.churn.publish.maxPSI: is not a setting of Tandem → write maxPsi',
  ],
])('%s is refused with the name of the setting', async (_, settings, expected) => {
  expect(await problemsIn(settings)).toEqual([expected]);
});

test('a segment that is not a feature column of the query is refused by name', () => {
  const policy = {
    freshness: {
      maxAgeMs: null,
      live: true,
      liveTimeoutMs: 50,
      onLiveFailure: 'stale' as const,
      unverified: true,
      default: null,
      events: [],
    },
    batch: { schedule: null, chunkSize: 5000, minCoverage: 0.9 },
  };
  expect(adoptionProblems({ policy: { ...policy, segments: ['visits', 'visit', 'country'] } })).toEqual([
    "predictors.churn.segments[1]: 'visit' is not a feature column of the query → write visits",
    "predictors.churn.segments[2]: 'country' is not a feature column of the query → use one or more of visits, spent",
  ]);
});
