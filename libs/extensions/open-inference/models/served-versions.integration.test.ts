import { createHash } from 'node:crypto';
import type { Authority, Certificate } from '@tandem/freshness/certificate';
import { adopt } from '@tandem/offline-store/adopt';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, repurchase, type TestApi } from '../../../../apps/api/api.fixture.ts';
import { createServedVersions } from './served-versions.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const ANALYSIS = {
  ...{ automatic: false, dryRun: false, intervalMs: 60_000, minStepMs: 0, minUsers: 100, alpha: 0.05 },
  guardrails: { errorRate: null, slowShare: null, slowMs: 100, liveShare: null, psi: null },
  outcomes: [],
};

/** Adopts the predictor with another model, which the stable arm then serves. */
async function adoptOther(weights = [0.2, 0.1]): Promise<void> {
  const base = repurchase();
  const artifact = linearModel({ weights });
  const artifactHash = createHash('sha256').update(artifact).digest('hex');
  const predictor = { ...base, artifact, definition: { ...base.definition, artifactHash } };
  await adopt(api.pool, { predictors: [predictor], actor: 'test' });
}

it('reads the arms once a second, and uses the last known arms while Postgres does not answer', async () => {
  let now = 0;
  const find = createServedVersions({ ...api.dependencies.app, now: () => now });
  const first = await find('repurchase', undefined);
  expect(first).toMatchObject({ variant: 'stable', numbers: ['1'], version: { number: 1 } });
  await adoptOther();
  expect(await find('repurchase', undefined)).toBe(first);
  now += 1_001;
  expect(await find('repurchase', undefined)).toMatchObject({ numbers: ['2'], version: { number: 2 } });
  await expect(find('repurchase', '1')).rejects.toMatchObject({ code: 'unknown_model_version' });
  await expect(find('nobody', undefined)).rejects.toMatchObject({ code: 'unknown_predictor' });
  api.postgres.cut();
  now += 1_001;
  expect(await find('repurchase', '2')).toMatchObject({ version: { number: 2 } });
});

it('has the current policy of the registry, even if the version was found with an older policy', async () => {
  api.postgres.restore();
  const { registry } = api.dependencies.app;
  const newest = await registry.predictor('repurchase');
  if (!newest) throw new Error('the predictor is not known');
  const answers = [{ ...newest }];
  const predictor = async (name: string) => answers.pop() ?? registry.predictor(name);
  const modelVersion = (id: string) => registry.modelVersion(id);
  const find = createServedVersions({ ...api.dependencies.app, registry: { predictor, modelVersion } });
  expect((await find('repurchase', undefined)).predictor).not.toBe(newest);
  expect((await find('repurchase', undefined)).predictor).toBe(await registry.predictor('repurchase'));
});

it('does not keep a version if the arms changed during its lookup', async () => {
  let now = 0;
  const { registry } = api.dependencies.app;
  const [asked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let holdNext = false;
  const predictor: typeof registry.predictor = async (name) => {
    if (!holdNext) return registry.predictor(name);
    holdNext = false;
    asked.resolve();
    await gate.promise;
    const held = await registry.predictor(name);
    // After an adoption the registry returns a new object.
    return held && { ...held };
  };
  const modelVersion = (id: string) => registry.modelVersion(id);
  const find = createServedVersions({
    ...api.dependencies.app,
    ...{ registry: { predictor, modelVersion }, now: () => now },
  });
  const { numbers } = await find('repurchase', undefined);
  holdNext = true;
  const late = find('repurchase', undefined);
  await asked.promise;
  await adoptOther([0.4, 0.4]);
  now += 1_001;
  const newest = await find('repurchase', undefined);
  expect(newest.numbers).not.toEqual(numbers);
  gate.resolve();
  await late;
  expect((await find('repurchase', undefined)).numbers).toEqual(newest.numbers);
});

it('waits only once for Postgres while it does not answer', async () => {
  let now = 0;
  const answers: (() => Promise<Certificate>)[] = [];
  const { authority } = api.dependencies.app;
  const certify = (...asked: Parameters<Authority['certify']>) =>
    (answers.shift() ?? (() => authority.certify(...asked)))();
  api.postgres.restore();
  const find = createServedVersions({ ...api.dependencies.app, authority: { certify }, now: () => now });
  const first = await find('repurchase', undefined);
  const away = Promise.withResolvers<Certificate>();
  answers.push(
    () => Promise.reject(new Error('away')),
    () => away.promise,
  );
  now += 1_001;
  expect(await find('repurchase', undefined)).toBe(first);
  now += 1_001;
  expect(await find('repurchase', undefined)).toBe(first);
  expect(answers).toEqual([]);
  away.reject(new Error('still away'));
});

it('finds versions and arms that were added while Postgres did not answer', async () => {
  let now = 0;
  const find = createServedVersions({ ...api.dependencies.app, now: () => now });
  const { numbers } = await find('repurchase', undefined);
  api.postgres.cut();
  now += 1_001;
  expect(await find('repurchase', undefined)).toMatchObject({ numbers });
  // Uses another connection to Postgres, which is not cut.
  await adoptOther([0.3, 0.3]);
  const arms = [{ name: 'second', version: 2, weight: 30 }];
  const plan = { kind: 'ab', arms, coverage: 'live', analysis: ANALYSIS } as const;
  const rollouts = createRolloutStore(api.pool);
  const { id } = await rollouts.create({ predictor: 'repurchase', plan, actor: 'test' });
  await rollouts.begin(id, { actor: 'test', reason: 'a test' });
  now += 1_001;
  expect(await find('repurchase', undefined)).toMatchObject({ numbers });
  api.postgres.restore();
  const known = async (number: string) => {
    now += 1_001;
    const found = await find('repurchase', number).catch(() => undefined);
    return [found?.version.number, found?.variant, found?.numbers];
  };
  await expect.poll(() => known('4')).toEqual([4, 'stable', ['4', '2']]);
  expect(await known('2')).toEqual([2, 'second', ['4', '2']]);
});

it('takes outputs from the mapping alone if a version has no metadata of its file', async () => {
  api.postgres.restore();
  const find = createServedVersions(api.dependencies.app);
  const { inputs, outputs, triedOutputs } = await find('repurchase', undefined);
  expect(inputs).toEqual([{ name: 'features', type: 'float32', shape: [-1, 2] }]);
  expect(outputs).toEqual([{ name: 'score', type: 'float32', shape: [-1, -1] }]);
  // Without the file's metadata it is unknown whether the trial covered every column.
  expect(triedOutputs.size).toBe(0);
});
