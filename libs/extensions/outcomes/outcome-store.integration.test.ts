import { createTestDatabase, expireRows, type TestDatabase } from '@tandem/offline-store/store.fixture';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Outcome } from './outcome.ts';
import { createOutcomeStore } from './outcome-store.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(() => database.reset());
afterAll(() => database?.drop());

const outcome = (id: string, changes: Partial<Outcome> = {}): Outcome => ({
  ...{ source: 't', id, userId: '1', name: 'order', value: 1, time: null },
  ...changes,
});
const accept = (...outcomes: Outcome[]) => createOutcomeStore(database.pool).accept(outcomes);
const statuses = async (...outcomes: Outcome[]) => (await accept(...outcomes)).map(({ status }) => status);
const rows = async (columns = 'id') =>
  (await database.pool.query<Record<string, unknown>>(`select ${columns} from tandem.outcomes order by source, id`))
    .rows;
const ago = (days: number) => new Date(Date.now() - days * 86_400_000);

describe('outcomes', () => {
  it('are accepted in order, also for unknown users; the default time is now', async () => {
    expect(await accept(outcome('b', { userId: 'nobody', time: ago(3), value: -2.5 }), outcome('a'))).toEqual([
      { id: 'b', source: 't', userId: 'nobody', status: 'accepted' },
      { id: 'a', source: 't', userId: '1', status: 'accepted' },
    ]);
    expect(await rows('id, user_id, value, time = accepted_at as now')).toEqual([
      { id: 'a', user_id: '1', value: 1, now: true },
      { id: 'b', user_id: 'nobody', value: -2.5, now: false },
    ]);
    expect(await accept()).toEqual([]);
  });

  it('count once: a repeated id is a duplicate, also within a batch, but not with another source', async () => {
    expect(await statuses(outcome('a'), outcome('b'), outcome('a'))).toEqual(['accepted', 'accepted', 'duplicate']);
    expect(await statuses(outcome('a'), outcome('a', { source: 'u' }))).toEqual(['duplicate', 'accepted']);
    expect(await rows()).toHaveLength(3);
  });

  it.each<[string, Partial<Outcome>]>([
    ['user', { userId: '2' }],
    ['name', { name: 'click' }],
    ['value', { value: 2 }],
    ['time', { time: ago(1) }],
  ])(
    'an id that was accepted with another %s is rejected with its position, and nothing of the batch is kept',
    async (_, change) => {
      await accept(outcome('a'));
      await expect(accept(outcome('new'), outcome('a', change))).rejects.toMatchObject({
        code: 'outcome_conflict',
        field: '[1].id',
      });
      await expect(accept(outcome('b'), outcome('b', change))).rejects.toMatchObject({ field: '[1].id' });
      expect(await rows()).toEqual([{ id: 'a' }]);
    },
  );

  it.each<[string, number]>([
    ['more than five minutes ahead', -6 / 1440],
    ['more than ninety days ago', 90.1],
  ])('with a time %s are rejected, on the database’s clock', async (_, days) => {
    await expect(accept(outcome('a'), outcome('b', { time: ago(days) }))).rejects.toMatchObject({
      code: 'invalid_input',
      field: '[1].time',
      message: expect.stringMatching(/^The outcome's time is more than (5 minutes ahead|90 days ago)/),
    });
    expect(await rows()).toEqual([]);
    expect(await statuses(outcome('c', { time: ago(-4 / 1440) }), outcome('d', { time: ago(89) }))).toHaveLength(2);
  });

  it('of two concurrent senders of the same ids each count once', async () => {
    const ids = Array.from({ length: 200 }, (_, i) => outcome(`${i}`));
    const sent = await Promise.all(
      Array.from({ length: 12 }, (_, i) => statuses(...(i % 2 === 0 ? ids : [...ids].reverse()))),
    );
    const all = sent.flat();
    expect(all.filter((status) => status === 'accepted')).toHaveLength(200);
    expect(all.filter((status) => status === 'duplicate')).toHaveLength(11 * 200);
    expect(await rows()).toHaveLength(200);
  });

  it('of two senders of the same ids in opposite orders do not deadlock', async () => {
    const waiting = async () =>
      (
        await database.pool.query(`select from pg_stat_activity where wait_event_type = 'Lock'
        and datname = current_database()`)
      ).rowCount;
    const first = await database.pool.connect();
    const write = (id: string) =>
      first.query(`select tandem.accept_outcomes($1, '5 min', '90 days')`, [JSON.stringify([outcome(id)])]);
    await first.query('begin');
    await write('a');
    const second = accept(outcome('b'), outcome('a'));
    await expect.poll(waiting).toBe(1);
    await write('b');
    await first.query('commit');
    first.release();
    expect((await second).map(({ status }) => status)).toEqual(['duplicate', 'duplicate']);
  });

  it('of two concurrent senders with one id and different content: one sender is rejected as a whole', async () => {
    for (let round = 0; round < 20; round++) {
      const [mine, yours] = await Promise.allSettled([
        accept(outcome(`x${round}`), outcome(`mine${round}`)),
        accept(outcome(`x${round}`, { value: 9 }), outcome(`yours${round}`)),
      ]);
      const failed = [mine, yours].filter(({ status }) => status === 'rejected');
      expect(failed).toMatchObject([{ reason: { code: 'outcome_conflict', field: '[0].id' } }]);
    }
    expect(await rows()).toHaveLength(40);
  });

  it('are counted at most once, for any concurrent batches of few ids and contents', async () => {
    const sending = fc.record({ id: fc.constantFrom('a', 'b', 'c'), value: fc.constantFrom(1, 1, 1, 2) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(sending, { minLength: 1, maxLength: 4 }), { maxLength: 6 }),
        async (batches) => {
          await database.pool.query('truncate tandem.outcomes');
          const told = await Promise.allSettled(
            batches.map((batch) => accept(...batch.map(({ id, value }) => outcome(id, { value })))),
          );
          const accepted = told.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
          const ids = accepted.filter(({ status }) => status === 'accepted').map(({ id }) => id);
          expect(ids.sort()).toEqual((await rows()).map(({ id }) => id));
          expect(new Set(ids).size).toBe(ids.length);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('of an erased user', () => {
  const erase = async (userId = '1') => {
    const { tombstone } = await createErasureStore(database.pool).setTombstone(userId);
    return createErasureStore(database.pool).deleteRows([tombstone.number]);
  };
  const kept = () => rows('id, user_id, name, value, time is null as timeless');
  const nothing = { user_id: null, name: null, value: null, timeless: true };

  it('everything except the ids is deleted and counted; other users keep everything', async () => {
    await accept(outcome('a'), outcome('b', { userId: '2' }));
    expect(await erase()).toMatchObject({ outcomes: 1 });
    expect(await kept()).toEqual([
      { id: 'a', ...nothing },
      { id: 'b', user_id: '2', name: 'order', value: 1, timeless: false },
    ]);
    expect(await statuses(outcome('a'))).toEqual(['duplicate']);
  });

  it('only the id of a later outcome is kept, until a readmission; earlier outcomes stay deleted', async () => {
    await erase();
    expect(await statuses(outcome('late'))).toEqual(['erased']);
    expect(await kept()).toEqual([{ id: 'late', ...nothing }]);
    await createErasureStore(database.pool).readmit('1');
    expect(await statuses(outcome('late'), outcome('new'))).toEqual(['duplicate', 'accepted']);
    // The deletes are repeated for an hour, and keep outcomes that came after the readmission.
    await createErasureStore(database.pool).deleteRows([1]);
    expect(await kept()).toEqual([
      { id: 'late', ...nothing },
      { id: 'new', user_id: '1', name: 'order', value: 1, timeless: false },
    ]);
  });

  it('an outcome that was concurrent with the erasure is deleted by the next deletes', async () => {
    const sending = await database.pool.connect();
    await sending.query('begin');
    await sending.query(`select tandem.accept_outcomes($1, '5 min', '90 days')`, [JSON.stringify([outcome('a')])]);
    expect(await erase()).toMatchObject({ outcomes: 0 });
    await sending.query('commit');
    sending.release();
    expect(await createErasureStore(database.pool).deleteRows([1])).toMatchObject({ outcomes: 1 });
    expect(await kept()).toEqual([{ id: 'a', ...nothing }]);
  });
});

it('outcomes are deleted after 180 days', async () => {
  await accept(outcome('old'), outcome('young'));
  await database.pool.query(`update tandem.outcomes set accepted_at = now() - interval '181 days' where id = 'old'`);
  expect(await expireRows(database.pool)).toBe(1);
  expect(await rows()).toEqual([{ id: 'young' }]);
});
