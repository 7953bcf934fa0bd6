import type { Rollout, RolloutPlan } from '@tandem/freshness/rollout';
import { adopt } from '@tandem/offline-store/adopt';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import {
  listCandidates,
  listGenerations,
  listOnlineGenerations,
  retiredGenerations,
} from '@tandem/offline-store/generations/generation-rows';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createRunsWorld } from '@tandem/offline-store/runs/runs.fixture';
import { createScheduleStore } from '@tandem/offline-store/runs/schedules';
import { query } from '@tandem/offline-store/sql/database';
import { visitsPredictor } from '@tandem/offline-store/store.fixture';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createRolloutChecks } from './rollout-checks.ts';
import { createRolloutStore } from './rollouts.ts';

const { database, store, renew, start, work, workAll } = await createRunsWorld({ users: 450 });
const rollouts = createRolloutStore(database.pool);
const authority = createAuthority(database.pool, { timeoutMs: 5_000 });
afterAll(async () => {
  await authority.close();
  await database.drop();
});

/** Version 1 is served from a generation. Version 2 is known but was never served. */
beforeEach(async () => {
  await renew();
  await workAll(await start());
  await adopt(database.pool, { predictors: [visitsPredictor({ model: 'second' })], actor: 'test' });
  await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: 1, actor: 'test' });
  await query(database.pool, {
    text: 'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 2)',
  });
});

const CHANGE = { actor: 'ops', reason: 'a test' };
const CANARY = {
  kind: 'canary',
  version: 2,
  steps: [1, 5, 25, 50, 100],
  coverage: 'required',
  analysis: {
    ...{ automatic: true, dryRun: false, intervalMs: 1_000, minStepMs: 1_000, minUsers: 100, alpha: 0.05 },
    guardrails: { errorRate: 0.01, slowShare: null, slowMs: 100, liveShare: null, psi: null },
    outcomes: [],
  },
} satisfies RolloutPlan;
const AB = {
  kind: 'ab',
  arms: [{ name: 'second', version: 2, weight: 30 }],
  coverage: 'live',
  analysis: CANARY.analysis,
} satisfies RolloutPlan;

const generationsOf = () => listGenerations(database.pool, 'visits');
const create = (plan: RolloutPlan = CANARY) => rollouts.create({ predictor: 'visits', plan, actor: 'ops' });
const assignments = async () => {
  const found = (await authority.certify([])).assignments('visits');
  if (!found) throw new Error('visits is not served');
  return found;
};
const USERS = Array.from({ length: 2_000 }, (_, i) => `${i + 1}`);
/** Returns the users that an arm serves. */
async function usersOf(arm: string): Promise<string[]> {
  const { of } = await assignments();
  return USERS.filter((userId) => of(userId).arm === arm);
}
const stable = async () => {
  const { stable: arm } = await assignments();
  return [arm.modelNumber, arm.generation?.number ?? null];
};

test('rollouts are checked again at the next interval if the clock was set back before their last check', async () => {
  const { id } = await create({ ...AB, coverage: 'live' });
  await query(database.pool, { text: `update tandem.rollouts set state = 'running', checked_at = null` });
  const { claim } = createRolloutChecks(database.pool);
  expect(await claim(id, 60_000)).toBe(true);
  expect(await claim(id, 60_000)).toBe(false);
  await query(database.pool, { text: `update tandem.rollouts set checked_at = clock_timestamp() + interval '1 hour'` });
  expect(await claim(id, 60_000)).toBe(true);
});

test('rollouts are listed newest first, page by page, even if the clock was set back between them', async () => {
  const ids: string[] = [];
  for (const ahead of [2, 1, 0]) {
    const { id } = await create();
    await rollouts.abort(id, CHANGE);
    const text = `update tandem.rollouts set created_at = created_at + $2 * interval '1 hour' where id = $1`;
    await query(database.pool, { text, values: [id, ahead] });
    ids.unshift(id);
  }
  const first = await rollouts.list({ predictor: 'visits', limit: 2 });
  const rest = await rollouts.list({ predictor: 'visits', limit: 2, before: first[1]?.id ?? '' });
  expect([...first, ...rest].map(({ id }) => id)).toEqual(ids);
});

describe('a canary', () => {
  test('serves no users while it is preparing, then a growing share, without losing users', async () => {
    const { id, state, arms } = await create();
    expect([state, arms]).toMatchObject([
      'preparing',
      [{ name: 'candidate', modelNumber: 2, firstBucket: 0, endBucket: 0 }],
    ]);
    expect(await usersOf('candidate')).toEqual([]);
    expect(await rollouts.begin(id, CHANGE)).toMatchObject({
      state: 'running',
      step: 0,
      stepStartedAt: expect.any(Date),
    });
    let before = await usersOf('candidate');
    expect(before.length).toBeLessThan(60);
    for (const [step, percent] of [5, 25, 50].entries()) {
      await rollouts.advance(id, CHANGE, step);
      const now = await usersOf('candidate');
      expect(Math.abs(now.length / USERS.length - percent / 100)).toBeLessThan(0.05);
      expect(now).toEqual(expect.arrayContaining(before));
      before = now;
    }
  });

  test('becomes the stable version at 100 percent, with its generation and floor, and an audit row for every step', async () => {
    const { id } = await create();
    const run = (
      await store.create({
        predictor: 'visits',
        scope: { kind: 'all' },
        reason: 'test',
        scheduleSlot: null,
        variant: 'candidate',
      })
    ).run;
    const outcome = await workAll(await planNow(store, run.id));
    expect(outcome).toMatchObject({ state: 'done', generation: { number: 2, modelNumber: 2 } });
    await rollouts.begin(id, CHANGE);
    const { of } = await assignments();
    const [user = ''] = await usersOf('candidate');
    expect(of(user)).toMatchObject({ arm: 'candidate', modelNumber: 2, generation: { number: 2 }, overlayFloor: 2 });
    expect(await stable()).toEqual([1, 1]);
    for (const step of [0, 1, 2, 3]) await rollouts.advance(id, { ...CHANGE, figures: { users: 7 } }, step);
    expect(await rollouts.find(id)).toMatchObject({ state: 'promoted', endedAt: expect.any(Date) });
    expect(await stable()).toEqual([2, 2]);
    expect((await assignments()).stable).toMatchObject({ arm: 'stable', overlayFloor: 2 });
    expect((await assignments()).rollout).toBeNull();
    const audit = await query<{ action: string; actor: string; detail: { figures?: object } }>(database.pool, {
      text: `select action, actor, detail from tandem.audit where action like '%rollout' order by seq`,
    });
    expect(audit.map(({ action }) => action)).toEqual([
      'create_rollout',
      'begin_rollout',
      ...Array(4).fill('advance_rollout'),
    ]);
    expect(audit.at(-1)).toMatchObject({
      actor: 'ops',
      detail: { figures: { users: 7 }, reason: 'a test', to: { state: 'promoted' } },
    });
  });

  test('ends with the commit of an abort, even during its run, and its generation does not become current', async () => {
    const { id } = await create({ ...CANARY, coverage: 'live' });
    const { run } = await store.create({
      predictor: 'visits',
      scope: { kind: 'all' },
      reason: 'test',
      scheduleSlot: null,
      variant: 'candidate',
    });
    const planned = await planNow(store, run.id);
    await work(planned, 0);
    await rollouts.begin(id, CHANGE);
    expect(await usersOf('candidate')).not.toEqual([]);
    expect(await rollouts.abort(id, CHANGE)).toMatchObject({ state: 'aborted' });
    expect(await usersOf('candidate')).toEqual([]);
    expect(await stable()).toEqual([1, 1]);
    expect(await workAll(planned)).toMatchObject({
      note: expect.stringContaining('not made current'),
      generation: null,
    });
    expect(await stable()).toEqual([1, 1]);
    await expect(rollouts.advance(id, CHANGE)).rejects.toMatchObject({ code: 'rollout_conflict' });
  });

  test('to a formerly stable version obeys its steps; only atOnce skips them, with the kept generation', async () => {
    const first = await create();
    const { run } = await store.create({
      predictor: 'visits',
      scope: { kind: 'all' },
      reason: 'test',
      scheduleSlot: null,
      variant: 'candidate',
    });
    await workAll(await planNow(store, run.id));
    await rollouts.begin(first.id, CHANGE);
    await rollouts.promote(first.id, 'candidate', CHANGE);
    const careful = await create({ ...CANARY, version: 1 });
    expect(careful).toMatchObject({ plan: { steps: CANARY.steps } });
    expect(await rollouts.begin(careful.id, CHANGE)).toMatchObject({ state: 'running', step: 0 });
    await rollouts.abort(careful.id, CHANGE);
    const back = await create({ ...CANARY, version: 1, steps: [100], atOnce: true });
    expect(back).toMatchObject({ plan: { steps: [100] }, arms: [{ modelNumber: 1, generationNumber: 1 }] });
    expect(await rollouts.begin(back.id, CHANGE)).toMatchObject({ state: 'promoted' });
    expect(await stable()).toEqual([1, 1]);
    expect((await assignments()).stable).toMatchObject({ expiresFrom: expect.any(Number), overlayFloor: 4 });
  });

  test('cannot skip its steps to a version that was never stable', async () => {
    await expect(create({ ...CANARY, steps: [100], atOnce: true })).rejects.toMatchObject({
      code: 'never_stable',
      field: 'atOnce',
      remedy: expect.stringContaining('--steps 100'),
    });
    expect(await rollouts.active()).toEqual([]);
  });

  test('keeps its generation while an arm has it, and after an abort like any served generation', async () => {
    const { id } = await create();
    const run = { predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null } as const;
    await workAll(await planNow(store, (await store.create({ ...run, variant: 'candidate' })).run.id));
    const afterDays = async (days: number) => {
      await query(database.pool, {
        text: `update tandem.generations set published_at = published_at - $1 * interval '1 day',
          left_at = left_at - $1 * interval '1 day'`,
        values: [days],
      });
      return retiredGenerations(await listCandidates(database.pool)).map(({ number }) => number);
    };
    await rollouts.begin(id, CHANGE);
    expect(await afterDays(40)).toEqual([]);
    await rollouts.abort(id, CHANGE);
    expect(await afterDays(29)).toEqual([]);
    expect(await afterDays(2)).toEqual([2]);
  });

  test('begins with the most recently used generation of its version, whatever the clock', async () => {
    const { id } = await create();
    const run = { predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null } as const;
    for (const _ of [2, 3]) {
      await workAll(await planNow(store, (await store.create({ ...run, variant: 'candidate' })).run.id));
      await rollouts.begin(id, CHANGE);
    }
    await rollouts.abort(id, CHANGE);
    // The state if the clock was set back by an hour between the two.
    await query(database.pool, {
      text: `update tandem.generations set published_at = published_at - interval '1 hour',
        left_at = left_at - interval '1 hour' where number = 3`,
    });
    expect(await create()).toMatchObject({ arms: [{ name: 'candidate', generationNumber: 3 }] });
  });

  test('that is moved twice from one step moves once', async () => {
    const { id } = await create();
    await rollouts.begin(id, CHANGE);
    const both = await Promise.all([rollouts.advance(id, CHANGE, 0), rollouts.advance(id, CHANGE, 0)]);
    expect(both.map(({ step }) => step)).toEqual([1, 1]);
    await rollouts.hold(id, CHANGE);
    expect(await rollouts.advance(id, CHANGE, 1)).toMatchObject({ state: 'held', step: 1 });
    await rollouts.resume(id, CHANGE);
    expect(await rollouts.advance(id, CHANGE, 1)).toMatchObject({ state: 'running', step: 2 });
  });
});

describe('an A/B test and a shadow', () => {
  test('an arm has its weight, and stable the rest; a user with an override is in the named arm, and marked', async () => {
    const { id } = await create(AB);
    await rollouts.begin(id, CHANGE);
    const inSecond = await usersOf('second');
    expect(Math.abs(inSecond.length / USERS.length - 0.3)).toBeLessThan(0.05);
    const other = USERS.find((userId) => !inSecond.includes(userId)) ?? '';
    await rollouts.override(id, other, 'second', 'ops');
    const { of, rollout } = await assignments();
    expect(of(other).arm).toBe('second');
    expect([rollout?.servedTo(other), rollout?.servedTo(inSecond[0] ?? '')]).toMatchObject([
      { overridden: true },
      { overridden: false },
    ]);
    expect(await rollouts.overrides(id)).toEqual([{ userId: other, arm: 'second' }]);
    await rollouts.override(id, other, null, 'ops');
    expect((await assignments()).of(other).arm).toBe('stable');
    await expect(rollouts.override(id, '042', 'second', 'ops')).rejects.toMatchObject({
      code: 'invalid_input',
      field: 'userId',
    });
    await expect(rollouts.override(id, '42', 'third', 'ops')).rejects.toMatchObject({
      remedy: 'use one of stable, second',
    });
    expect(await rollouts.promote(id, 'second', CHANGE)).toMatchObject({ state: 'promoted' });
    expect(await stable()).toEqual([2, null]);
  });

  test('a shadow is in the certificate, but serves no users', async () => {
    const { id } = await create({ kind: 'shadow', version: 2, share: 0.5, maxPerSecond: 10 });
    await rollouts.begin(id, CHANGE);
    const { rollout } = await assignments();
    expect(rollout).toMatchObject({
      id,
      kind: 'shadow',
      plan: { share: 0.5 },
      arms: [{ arm: 'candidate', modelNumber: 2 }],
    });
    expect(await usersOf('stable')).toHaveLength(USERS.length);
    await expect(rollouts.override(id, '1', 'candidate', 'ops')).rejects.toMatchObject({ code: 'rollout_conflict' });
    expect(await rollouts.end(id, CHANGE)).toMatchObject({ state: 'ended' });
    expect((await assignments()).rollout).toBeNull();
  });
});

describe('other changes of the predictor', () => {
  let active: Rollout;
  beforeEach(async () => {
    active = await create();
  });

  test('are rejected while a rollout is active, and the error says how to end it', async () => {
    const refusal = { code: 'rollout_conflict', remedy: expect.stringContaining('tandem rollout abort visits') };
    await expect(create(AB)).rejects.toMatchObject(refusal);
    await expect(
      createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: null, actor: 'ops' }),
    ).rejects.toMatchObject(refusal);
    const third = { predictors: [visitsPredictor({ model: 'third' })], actor: 'test' };
    await expect(adopt(database.pool, third)).rejects.toMatchObject(refusal);
    await rollouts.abort(active.id, CHANGE);
    expect(await adopt(database.pool, third)).toMatchObject({ predictors: [{ change: 'version', modelNumber: 3 }] });
  });

  test('a config without the predictor is rejected until its rollout ends, and the predictor stays served', async () => {
    const without = { predictors: [visitsPredictor({ name: 'orders' })], actor: 'test' };
    await expect(adopt(database.pool, without)).rejects.toMatchObject({
      code: 'rollout_conflict',
      message: 'Rollout 1 of visits is preparing. Until it ends, a config without visits cannot be adopted.',
      remedy: expect.stringContaining('tandem rollout abort visits'),
    });
    const served = { text: 'select name from tandem.predictors where active' };
    expect(await query(database.pool, served)).toEqual([{ name: 'visits' }]);
    await rollouts.abort(active.id, CHANGE);
    expect(await adopt(database.pool, without)).toMatchObject({ deactivated: ['visits'] });
  });

  test('the error names the commands that end an A/B test and a shadow', async () => {
    const [end, promote] = ['tandem rollout end visits ends it', 'tandem rollout promote visits --variant <arm>'];
    await rollouts.abort(active.id, CHANGE);
    const test = await create(AB);
    const ofTest = expect.stringMatching(new RegExp(`rollout abort visits aborts it, ${end}, ${promote} ends it`));
    await expect(create()).rejects.toMatchObject({ remedy: ofTest });
    await rollouts.end(test.id, CHANGE);
    await create({ kind: 'shadow', version: 2, share: 0.5, maxPerSecond: 10 });
    const remedy = `tandem rollout abort visits aborts it, ${end}`;
    await expect(create()).rejects.toMatchObject({ remedy });
  });

  test('a run belongs to the arm that it names; both arms may be computed concurrently, each by one run', async () => {
    const ask = (variant: string) =>
      store.create({ predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null, variant });
    expect([(await ask('stable')).run.modelNumber, (await ask('candidate')).run.modelNumber]).toEqual([1, 2]);
    await expect(ask('candidate')).rejects.toMatchObject({ code: 'run_conflict' });
    await expect(ask('third')).rejects.toMatchObject({ code: 'invalid_input', field: 'variant' });
  });

  test('each arm has a separate schedule', async () => {
    await query(database.pool, {
      text: `update tandem.predictors set policy = jsonb_set(policy, '{batch,schedule}', '"0 2 * * *"')`,
    });
    const due = async () =>
      (await createScheduleStore(database.pool).schedules()).schedules.map(({ variant, after }) => [
        variant,
        after.getTime(),
      ]);
    const [[, createdAt]] = (await due()) as [[string, number]];
    const slot = new Date(createdAt + 60_000);
    await store.create({
      predictor: 'visits',
      scope: { kind: 'all' },
      reason: 'schedule',
      scheduleSlot: slot,
      variant: 'candidate',
    });
    const [candidate, other] = await due();
    expect(candidate).toEqual(['candidate', slot.getTime()]);
    expect(other?.[0]).toBe('stable');
    expect(other?.[1]).toBeLessThan(slot.getTime());
  });

  test('unknown, served and repeated versions are rejected by field', async () => {
    await rollouts.abort(active.id, CHANGE);
    await expect(create({ ...CANARY, version: 9 })).rejects.toMatchObject({
      code: 'unknown_model_version',
      field: 'version',
    });
    await expect(create({ ...CANARY, version: 1 })).rejects.toMatchObject({ code: 'invalid_input', field: 'version' });
    const twice = [AB.arms[0], { ...AB.arms[0], name: 'again' }] as typeof AB.arms;
    await expect(create({ ...AB, arms: twice })).rejects.toMatchObject({ field: 'arms[1].version' });
  });
});

test('Redis may hold generations of arms, generations being built, and the most recently used others that fit', async () => {
  const asked = { predictor: 'visits', scope: { kind: 'all' as const }, reason: 'test', scheduleSlot: null };
  for (let i = 0; i < 2; i++) await workAll(await start());
  const { id } = await create();
  const { run } = await store.create({ ...asked, variant: 'candidate' });
  await workAll(await planNow(store, run.id));
  const building = await planNow(store, (await store.create(asked)).run.id);
  const byNumber = new Map((await generationsOf()).map((one) => [one.id, one.number]));
  const held = async (bytes: number) =>
    (await listOnlineGenerations(database.pool, bytes)).map((one) => byNumber.get(one)).sort();
  // Generation 3 replaced generations 1 and 2. Each takes 450 times 36 bytes.
  expect(await held(0)).toEqual([3, 4, building.generationNumber]);
  expect(await held(450 * 36)).toEqual([2, 3, 4, building.generationNumber]);
  expect(await held(1e9)).toEqual([1, 2, 3, 4, building.generationNumber]);
  await rollouts.abort(id, CHANGE);
  expect(await held(450 * 36)).toEqual([3, 4, building.generationNumber]);
});
