import { readFileSync } from 'node:fs';
import type { RolloutPlan } from '@tandem/freshness/rollout';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { createRunsWorld } from '../runs/runs.fixture.ts';
import { query } from '../sql/database.ts';
import { visitsPredictor } from '../store.fixture.ts';

const { database, store, renew, start, workAll } = await createRunsWorld({ users: 10 });
const rollouts = createRolloutStore(database.pool);
const generations = createGenerationStore(database.pool);
afterAll(() => database.drop());

const CHANGE = { actor: 'ops', reason: 'a test' };
const analysis = {
  ...{ automatic: true, dryRun: false, intervalMs: 1_000, minStepMs: 1_000, minUsers: 100, alpha: 0.05 },
  guardrails: { errorRate: 0.01, slowShare: null, slowMs: 100, liveShare: null, psi: null },
  outcomes: [],
} as const;

const serve = (model: string) => adopt(database.pool, { predictors: [visitsPredictor({ model })], actor: 'test' });
const compute = async (variant = 'stable') => {
  const run = { predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null, variant } as const;
  await workAll(await planNow(store, (await store.create(run)).run.id));
};
const begin = async (plan: RolloutPlan) => {
  const { id } = await rollouts.create({ predictor: 'visits', plan, actor: 'ops' });
  await rollouts.begin(id, CHANGE);
  return id;
};
const history = async () =>
  (await generations.stableVersions('visits', 100)).map((one) => [one.modelNumber, one.generationNumber]);

/** Version 1 was stable with generation 1, then version 2 with generation 2, then version 3 with generation 3. */
beforeEach(async () => {
  await renew();
  await workAll(await start());
  for (const model of ['second', 'third']) {
    await serve(model);
    await compute();
  }
});

test('each period of a stable version is listed, newest first, with the kept generation', async () => {
  expect(await history()).toEqual([
    [3, 3],
    [2, 2],
    [1, 1],
  ]);
  const [now, before] = await generations.stableVersions('visits', 2);
  expect([now?.until, before?.until]).toEqual([null, now?.since]);
  // Another generation of the same version does not begin another period.
  await compute();
  expect(await history()).toEqual([
    [3, 4],
    [2, 2],
    [1, 1],
  ]);
});

test('the previous version stays the same, whatever an A/B test of a former stable version computes', async () => {
  const arms = [{ name: 'first', version: 1, weight: 30 }];
  const id = await begin({ kind: 'ab', arms, coverage: 'required', analysis });
  await compute('first');
  await rollouts.end(id, CHANGE);
  await compute();
  expect((await history())[1]).toEqual([2, 2]);
  // Generation 4 belongs to the arm "first".
  const { from, to } = await generations.rollBack({ predictor: 'visits', to: null, actor: 'ops' });
  expect([from?.number, to.number, to.modelNumber]).toEqual([5, 3, 3]);
});

test('a promotion and a rollback begin separate periods; a rollback returns to the generation that was served last', async () => {
  await compute();
  await generations.rollBack({ predictor: 'visits', to: 3, actor: 'ops' });
  const canary = { kind: 'canary', version: 2, steps: [50, 100], coverage: 'required', analysis } as const;
  await rollouts.promote(await begin(canary), 'candidate', CHANGE);
  expect(await history()).toEqual([
    [2, 2],
    // It does not return to generation 4, which was rolled back.
    [3, 3],
    [2, 2],
    [1, 1],
  ]);
});

test('a version that a rollout tried and rolled back was never stable: only force returns to it', async () => {
  await serve('fourth');
  await generations.rollBack({ predictor: 'visits', to: 3, actor: 'ops' });
  const text =
    'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 4)';
  await query(database.pool, { text });
  const id = await begin({ kind: 'canary', version: 4, steps: [50, 100], coverage: 'live', analysis });
  await compute('candidate');
  await rollouts.abort(id, CHANGE);
  expect(await history()).toEqual([
    [3, 3],
    [2, 2],
    [1, 1],
  ]);
  const back = { predictor: 'visits', to: 4, actor: 'ops' };
  await expect(generations.rollBack(back)).rejects.toMatchObject({ code: 'never_stable', field: 'to' });
  expect((await generations.rollBack({ ...back, force: true })).to.modelNumber).toBe(4);
  const [audited] = await query<{ detail: object }>(database.pool, {
    text: `select detail from tandem.audit where action = 'rollback' order by seq desc limit 1`,
  });
  expect(audited?.detail).toMatchObject({ to: 4, forced: true });
});

test('an arm that is moved in SQL leaves its period, too', async () => {
  await query(database.pool, {
    text: `update tandem.arms set model_version_id = (select id from tandem.model_versions where number = 1),
      generation_id = null where name = 'stable'`,
  });
  expect((await history())[0]).toEqual([1, 1]);
});

test('the migration finds the history of a predictor that is older than the migration', async () => {
  await generations.rollBack({ predictor: 'visits', to: 2, actor: 'ops' });
  const canary = { kind: 'canary', version: 1, steps: [50, 100], coverage: 'required', analysis } as const;
  await rollouts.promote(await begin(canary), 'candidate', CHANGE);
  const before = await history();
  expect(before.map(([version]) => version)).toEqual([1, 2, 3, 2, 1]);
  await database.pool.query(`
    drop trigger arms_stable_inserted on tandem.arms; drop trigger arms_stable_moved on tandem.arms;
    drop function tandem.note_stable(); drop table tandem.stable_history`);
  const migration = new URL('../../../migrations/0030_stable_history.sql', import.meta.url);
  await database.pool.query(readFileSync(migration, 'utf8'));
  expect(await history()).toEqual(before);
  expect((await generations.stableVersions('visits', 9))[0]?.until).toBeNull();
});
