import { afterAll, beforeEach, expect, test } from 'vitest';
import { createEventStore } from '../events/events.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { createExpiries } from '../retention.ts';
import { query } from '../sql/database.ts';
import { createRunsWorld } from './runs.fixture.ts';

const { database, store, renew, start, claim, read, planWith, workAll } = await createRunsWorld({ users: 100 });
const { pool } = database;
beforeEach(async () => {
  await renew();
  await pool.query('truncate tandem.read_demand');
});
afterAll(() => database.drop());

const expire = () =>
  createExpiries(pool)
    .find(({ name }) => name === 'names')
    ?.expireSome();
const namesOf = async (runId: string) => {
  const text = 'select unnest(user_ids) as id from tandem.chunks where run_id = $1';
  return (await query<{ id: string }>(pool, { text, values: [runId] })).map(({ id }) => id);
};
const endedADayAgo = (runId: string) =>
  pool.query(`update tandem.runs set finished_at = finished_at - interval '25 hours' where id = $1`, [runId]);

/** The rejection of a resume after the names of the run's users were deleted. */
const FORGOTTEN = {
  code: 'run_conflict',
  message: expect.stringContaining('the ids of its users were deleted'),
};

test('a failed run deletes the names of its users when its generation is dropped', async () => {
  await workAll(await start());
  await read(1, 2);
  const run = await planWith({ share: 0.02 });
  await store.cancel(run.id);
  await expire();
  expect((await namesOf(run.id)).toSorted()).toEqual(['1', '2']);
  await endedADayAgo(run.id);
  expect(await createGenerationStore(pool).dropRetired()).toHaveLength(1);
  await expire();
  expect(await namesOf(run.id)).toEqual([]);
});

test('a cancelled run of named users deletes their names a day later, and a resume is rejected with that reason', async () => {
  await workAll(await start());
  const event = { source: 't', id: '1', type: 'x', userId: '7', time: null, data: null };
  await createEventStore(pool).accept([event]);
  const run = await start({ kind: 'stale' });
  await store.cancel(run.id);
  await expire();
  expect(await namesOf(run.id)).toEqual(['7']);
  await store.resume(run.id);
  await endedADayAgo(run.id);
  await expire();
  expect(await namesOf(run.id)).toEqual(['7']);
  await store.cancel(run.id);
  await endedADayAgo(run.id);
  await expire();
  expect(await namesOf(run.id)).toEqual([]);
  await expect(store.resume(run.id)).rejects.toMatchObject(FORGOTTEN);
});

test('a resume is rejected with that reason too if the names were in a claimed chunk', async () => {
  const run = await start({ kind: 'users', userIds: ['7'] });
  await claim(run.id, 0);
  await store.cancel(run.id);
  await endedADayAgo(run.id);
  await expire();
  expect(await namesOf(run.id)).toEqual([]);
  await expect(store.resume(run.id)).rejects.toMatchObject(FORGOTTEN);
});
