/** Which changes count as withdrawals: an acknowledgement of these waits until Redis has the count. */
import type { RolloutPlan } from '@tandem/freshness/rollout';
import { adopt } from '@tandem/offline-store/adopt';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createRunsWorld } from '@tandem/offline-store/runs/runs.fixture';
import { query } from '@tandem/offline-store/sql/database';
import { findCount } from '@tandem/offline-store/sql/settings';
import { visitsPredictor } from '@tandem/offline-store/store.fixture';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { createRolloutStore } from './rollouts.ts';

const { database, renew, start, workAll } = await createRunsWorld({ users: 150 });
afterAll(() => database.drop());
const rollouts = createRolloutStore(database.pool);
const CHANGE = { actor: 'ops', reason: 'a test' };
const CANARY: RolloutPlan = {
  kind: 'canary',
  version: 2,
  steps: [5, 50, 100],
  coverage: 'live',
  analysis: {
    ...{ automatic: true, dryRun: false, intervalMs: 1_000, minStepMs: 1_000, minUsers: 100, alpha: 0.05 },
    guardrails: { errorRate: 0.01, slowShare: null, slowMs: 100, liveShare: null, psi: null },
    outcomes: [],
  },
};

beforeEach(() => renew());

/** Returns how many withdrawals the change counts. */
async function withdrawalsOf(change: () => Promise<unknown>): Promise<number> {
  const { count } = await findCount(database.pool, 'withdrawals');
  await change();
  return (await findCount(database.pool, 'withdrawals')).count - count;
}

const publish = async () => workAll(await start());
const adoptVersion = (model: string) =>
  adopt(database.pool, { predictors: [visitsPredictor({ model })], actor: 'test' });

/** Starts a canary of version 2, which serves a share of the users. */
async function startCanary(): Promise<string> {
  await publish();
  await adoptVersion('second');
  await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: 1, actor: 'test' });
  await query(database.pool, {
    text: 'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 2)',
  });
  const { id } = await rollouts.create({ predictor: 'visits', plan: CANARY, actor: 'ops' });
  await rollouts.begin(id, CHANGE);
  return id;
}

test('a publication, an adoption without a change, and a step of a canary withdraw nothing', async () => {
  expect(await withdrawalsOf(publish)).toBe(0);
  expect(await withdrawalsOf(publish)).toBe(0);
  const id = await startCanary();
  expect(await withdrawalsOf(() => rollouts.hold(id, CHANGE))).toBe(0);
  expect(await withdrawalsOf(() => rollouts.advance(id, CHANGE))).toBe(0);
});

test('a rollback withdraws the current generation', async () => {
  await publish();
  await publish();
  const rollBack = () =>
    createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: null, actor: 'test' });
  expect(await withdrawalsOf(rollBack)).toBe(1);
});

test.each(['abort', 'promote'] as const)('the end of a canary withdraws an arm (%s)', async (verb) => {
  const id = await startCanary();
  const end = () => (verb === 'abort' ? rollouts.abort(id, CHANGE) : rollouts.promote(id, 'candidate', CHANGE));
  expect(await withdrawalsOf(end)).toBeGreaterThan(0);
});

test('an adoption withdraws the version or the policy that it replaces, and predictors that it lacks', async () => {
  expect(await withdrawalsOf(() => adoptVersion('second'))).toBe(1);
  expect(await withdrawalsOf(() => adoptVersion('second'))).toBe(0);
  const changed = visitsPredictor({ model: 'second' });
  const { freshness } = changed.policy;
  const policy = { ...changed.policy, freshness: { ...freshness, unverified: !freshness.unverified } };
  const adopting = { predictors: [{ ...changed, policy }], actor: 'test' };
  expect(await withdrawalsOf(() => adopt(database.pool, adopting))).toBe(1);
  expect(await withdrawalsOf(() => adopt(database.pool, { predictors: [], actor: 'test' }))).toBe(1);
});
