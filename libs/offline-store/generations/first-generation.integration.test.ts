import type { PublishPolicy } from '@tandem/freshness/predictor';
import { PUBLISH_DEFAULTS } from '@tandem/freshness/predictor';
import { NOTHING_LOST, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createReportStore } from '../runs/run-store.ts';
import { createRunsWorld } from '../runs/runs.fixture.ts';
import { query } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { visitsPredictor } from '../store.fixture.ts';
import { createGenerationStore } from './generations.ts';

const { database, store, renew, read, planWith, start, work } = await createRunsWorld({ users: 400 });
const { pool } = database;
const reports = createReportStore(pool, NOTHING_LOST.prove);
const generations = createGenerationStore(pool);
afterAll(() => database.drop());

const declare = (publish: Partial<PublishPolicy> | null, model?: string) => {
  const predictor = visitsPredictor(model === undefined ? {} : { model });
  const policy = publish === null ? {} : { publish: { ...PUBLISH_DEFAULTS, ...publish } };
  return adopt(pool, { predictors: [{ ...predictor, policy: { ...predictor.policy, ...policy } }], actor: 'test' });
};
beforeEach(async () => {
  await renew();
  await pool.query('truncate tandem.read_demand');
  await declare({ maxPsi: 0.25 });
});

/** Publishes a generation whose scores are the ids of the users, which are 1 to 400, plus a shift. */
async function publish(by: number, run = start()) {
  const { id, generationId } = await run;
  for (const { no } of await store.claimable(id, 1_000)) await work(await run, no);
  // Postgres writes big-endian floats, but outputs are little-endian.
  await query(pool, {
    text: `update ${partitionOf(generationId ?? '')} p
      set outputs = substr(big, 4, 1) || substr(big, 3, 1) || substr(big, 2, 1) || substr(big, 1, 1)
      from (select user_id as shifted, float4send((user_id::int + ${by})::float4) as big
        from ${partitionOf(generationId ?? '')}) one
      where user_id = shifted`,
  });
  return publishNow(store, id);
}

const firstOf = async (generation: number) => {
  const { first, figures } = await reports.find('visits', generation);
  return [first?.generation, figures?.outputs[0]?.first?.psi ?? null];
};
const someIndex = expect.any(Number);

/** Publishes generations 1 to 3, and a fourth that is held back: each is shifted by 15 users, or 0.1. */
async function drift() {
  for (const by of [0, 15, 30]) expect(await publish(by)).toMatchObject({ state: 'done' });
  return publish(60);
}

test('a slow drift is held back by its comparison with the first generation', async () => {
  const outcome = await drift();
  expect(outcome).toMatchObject({
    state: 'failed',
    note: expect.stringMatching(/^held back: PSI [0-9.]+ of score against the first generation is above 0.25; see/),
  });
  expect((await reports.find('visits', 4)).crossings).toMatchObject([{ setting: 'maxPsi', against: 'first' }]);
  expect(await firstOf(1)).toEqual([undefined, null]);
  // The second generation is compared with the first anyway.
  expect(await firstOf(2)).toEqual([1, null]);
  expect(await firstOf(3)).toEqual([1, someIndex]);
});

test('after an approval in spite of its shift, that generation is the first', async () => {
  await drift();
  await reports.approve({ predictor: 'visits', generation: 4, actor: 't' });
  expect(await publish(60)).toMatchObject({ state: 'done' });
  expect(await publish(75)).toMatchObject({ state: 'done' });
  expect(await firstOf(5)).toEqual([4, null]);
  expect(await firstOf(6)).toEqual([4, someIndex]);
});

test('the first generation outlives its own rows and reports, a rollback, and a comparison that fails', async () => {
  await publish(0);
  await publish(15);
  await publish(15);
  await generations.rollBack({ predictor: 'visits', to: 2, actor: 't' });
  await query(pool, {
    text: `with gone as (update tandem.generations set state = 'dropped' where number = 1)
      delete from tandem.generation_reports r using tandem.generations g where g.id = r.generation_id and g.number <> 2`,
  });
  await declare({ maxPsi: 0.25, reportTimeoutMs: 1, onTimeout: 'publish' });
  expect(await publish(15)).toMatchObject({ report: { verdict: 'not_compared' } });
  await declare({ maxPsi: 0.25 });
  expect(await publish(60)).toMatchObject({ state: 'failed' });
  expect(await firstOf(4)).toEqual([1, null]);
  expect(await firstOf(5)).toEqual([1, someIndex]);
});

test('another model version has another first generation', async () => {
  await publish(0);
  await publish(15);
  await declare({ maxPsi: null }, 'another model');
  // As in a rollout, the first generation of the version is compared with that of the stable arm.
  await query(pool, {
    text: 'update tandem.arms set generation_id = g.id from tandem.generations g where g.number = 2',
  });
  await publish(200);
  await publish(200);
  await publish(200);
  expect(await reports.find('visits', 3)).toMatchObject({ against: 2, first: null, figures: expect.any(Object) });
  expect(await firstOf(4)).toEqual([3, null]);
  expect(await firstOf(5)).toEqual([3, someIndex]);
});

test('after reports of an earlier release, the served generation is the first', async () => {
  await publish(0);
  await publish(15);
  await query(pool, { text: `update tandem.generation_reports set report = report - 'first'` });
  expect(await firstOf(2)).toEqual([undefined, null]);
  await publish(15);
  await publish(15);
  expect(await firstOf(3)).toEqual([2, null]);
  expect(await firstOf(4)).toEqual([2, someIndex]);
});

test('a run with a budget is not compared with the first generation, and keeps it', async () => {
  await publish(0);
  await publish(15);
  await read(1, 2, 3, 4, 5);
  await publish(0, planWith({ share: 0.1 }));
  await publish(15);
  expect(await firstOf(3)).toEqual([1, null]);
  expect(await firstOf(4)).toEqual([1, someIndex]);
});

test('a first generation of which only some pages were counted is replaced when all users are compared', async () => {
  await publish(0);
  await publish(15);
  await query(pool, {
    text: `update tandem.generation_reports set report = jsonb_set(report, '{first,isOfPages}', 'true')
      where report ? 'first'`,
  });
  await publish(15);
  expect(await firstOf(3)).toEqual([2, null]);
});
