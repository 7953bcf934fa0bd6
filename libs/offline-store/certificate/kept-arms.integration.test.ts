import type { RolloutPlan } from '@tandem/freshness/rollout';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { keepVersion } from '../models/model-versions.ts';
import { createRunsWorld } from '../runs/runs.fixture.ts';
import { createScheduleStore } from '../runs/schedules.ts';
import { query } from '../sql/database.ts';
import { visitsPredictor } from '../store.fixture.ts';
import { createAuthority } from './authority.ts';

const { database, store, renew, start, workAll } = await createRunsWorld({ users: 10 });
const rollouts = createRolloutStore(database.pool);
const generations = createGenerationStore(database.pool);
const authority = createAuthority(database.pool, { timeoutMs: 5_000 });
afterAll(async () => {
  await authority.close();
  await database.drop();
});

/** Version 1 is served from generation 1. Version 2 is known but was never served. */
beforeEach(async () => {
  await renew();
  await workAll(await start());
  await adopt(database.pool, { predictors: [visitsPredictor({ model: 'second' })], actor: 'test' });
  await generations.rollBack({ predictor: 'visits', to: 1, actor: 'test' });
  await query(database.pool, {
    text: 'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 2)',
  });
});

const CHANGE = { actor: 'ops', reason: 'a test' };
const canaryTo = (version: number) =>
  rollouts.create({
    predictor: 'visits',
    actor: 'ops',
    plan: {
      ...{ kind: 'canary', version, steps: [1, 100], coverage: 'required' },
      analysis: {
        ...{ automatic: true, dryRun: false, intervalMs: 1_000, minStepMs: 1_000, minUsers: 100, alpha: 0.05 },
        guardrails: { errorRate: 0.01, slowShare: null, slowMs: 100, liveShare: null, psi: null },
        outcomes: [],
      },
    } satisfies RolloutPlan,
  });

/** Aborts a canary to version 2, which leaves generation 2. */
async function tryVersion2(): Promise<void> {
  const { id } = await canaryTo(2);
  const arm = { predictor: 'visits', reason: 'test', scheduleSlot: null, variant: 'candidate' };
  const { run } = await store.create({ ...arm, scope: { kind: 'all' } });
  await workAll(await planNow(store, run.id));
  await rollouts.abort(id, CHANGE);
}

test('a version that is tried again gets its first generation, whose expiry continues', async () => {
  await tryVersion2();
  const { id, arms } = await canaryTo(2);
  expect(arms).toMatchObject([{ generationNumber: 2 }]);
  await rollouts.begin(id, CHANGE);
  const { rollout } = (await authority.certify([])).assignments('visits') ?? {};
  expect(rollout?.arms).toMatchObject([{ arm: 'candidate', generation: { number: 2 }, expiresFrom: null }]);
});

test('a version that is tried again waits for another generation if its first has expired', async () => {
  await tryVersion2();
  await query(database.pool, {
    text: `update tandem.generations set started_at = started_at - interval '2 hours' where number = 2`,
  });
  expect((await canaryTo(2)).arms).toMatchObject([{ generationNumber: null }]);
});

test('a formerly stable version gets its last generation, but not a rolled-back generation', async () => {
  await workAll(await start());
  await generations.rollBack({ predictor: 'visits', to: 1, actor: 'test' });
  await adopt(database.pool, { predictors: [visitsPredictor({ model: 'third' })], actor: 'test' });
  expect((await canaryTo(1)).arms).toMatchObject([{ modelNumber: 1, generationNumber: 1 }]);
});

test('a rollback without a target skips generations of an aborted rollout', async () => {
  await tryVersion2();
  await workAll(await start());
  const { from, to } = await generations.rollBack({ predictor: 'visits', to: null, actor: 'ops' });
  expect([from?.number, to.number]).toEqual([3, 1]);
});

test('a version with another type of an event feature is rejected, since events could fit only one of the two', async () => {
  const { definition } = visitsPredictor();
  const columns = definition.query.columns.map((one) =>
    one.name === 'city' ? { ...one, kind: 'integer' as const } : one,
  );
  const third = visitsPredictor({
    model: 'third',
    definition: { ...definition, query: { ...definition.query, columns } },
  });
  await keepVersion(database.pool, { definition: third.definition, origin: { by: 'test', how: 'push' } });
  await expect(canaryTo(3)).rejects.toMatchObject({
    code: 'invalid_input',
    field: 'version',
    message: expect.stringContaining('city'),
  });
  expect(await rollouts.active()).toEqual([]);
});

test('a schedule starts no run for a shadow, which serves no users', async () => {
  await query(database.pool, {
    text: `update tandem.predictors set policy = jsonb_set(policy, '{batch,schedule}', '"0 2 * * *"')`,
  });
  const plan = { kind: 'shadow', version: 2, share: 0.5, maxPerSecond: 10 } as const;
  await rollouts.create({ predictor: 'visits', plan, actor: 'ops' });
  const { schedules } = await createScheduleStore(database.pool).schedules();
  expect(schedules.map(({ variant }) => variant)).toEqual(['stable']);
});
