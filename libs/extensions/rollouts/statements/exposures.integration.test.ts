import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createTestDatabase, expireRows, type TestDatabase } from '@tandem/offline-store/store.fixture';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { NO_COUNTS, type ServedSums } from '../rules/arm-counts.ts';
import { createArmCountStore, findStepFigures } from './arm-counts.ts';
import { createRolloutRows, exposure } from './exposures.fixture.ts';
import { createExposureStore } from './exposures.ts';

let database: TestDatabase;
let id: string;
let other: string;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  [id = '', other = ''] = await createRolloutRows(database.pool, 2);
});
afterAll(() => database?.drop());

const put = (...exposures: ReturnType<typeof exposure>[]) => createExposureStore(database.pool).put(exposures, 0);
const rows = async (columns = 'user_id, arm') =>
  (
    await database.pool.query<Record<string, unknown>>(
      `select ${columns} from tandem.exposures order by rollout_id = '${other}', step, user_id, arm`,
    )
  ).rows;
const figures = (step = 0) => findStepFigures(database.pool, { id, step });
const sums = (changes: Partial<ServedSums> & { reads: number }): ServedSums => {
  const { reads, ...rest } = changes;
  return {
    ...{ rolloutId: id, step: 0, arm: 'stable', source: 'batch', processId: randomUUID() },
    counts: { ...NO_COUNTS, reads, errors: 1, latency: NO_COUNTS.latency.map((_, i) => (i === 2 ? reads : 0)) },
    ...rest,
  };
};

describe('exposures', () => {
  it('are kept once for each user, step and arm: the first that was sent', async () => {
    await put(exposure(id, '1', { source: 'live' }), exposure(id, '2'));
    await put(exposure(id, '1'), exposure(id, '1', { arm: 'b' }), exposure(id, '1', { step: 1 }));
    expect(await rows('user_id, step, arm, source')).toEqual([
      { user_id: '1', step: 0, arm: 'b', source: 'batch' },
      { user_id: '1', step: 0, arm: 'stable', source: 'live' },
      { user_id: '2', step: 0, arm: 'stable', source: 'batch' },
      { user_id: '1', step: 1, arm: 'stable', source: 'batch' },
    ]);
  });

  it('of a lost past are omitted, since no erasure would find them by their labels', async () => {
    const event = { source: 't', id: 'a', type: 'x', userId: '1', time: null, data: null };
    await createEventStore(database.pool).accept([event]);
    await put(exposure(id, '1', { contextVersion: 2 }), exposure(id, '2', { contextVersion: 1 }));
    expect(await rows()).toEqual([]);
    await put(exposure(id, '1', { contextVersion: 1 }), exposure(id, '2'));
    expect(await rows('user_id')).toEqual([{ user_id: '1' }, { user_id: '2' }]);
  });

  it('have the same age on this database’s clock as on their process’s clock', async () => {
    await createExposureStore(database.pool).put([exposure(id, '1', { at: 5_000 })], 65_000);
    const [row] = await rows('extract(epoch from clock_timestamp() - at)::float as seconds');
    expect(row?.seconds).toBeGreaterThanOrEqual(60);
    expect(row?.seconds).toBeLessThan(90);
  });

  it('of a deleted rollout do not prevent the others from being written', async () => {
    await put(exposure(randomUUID(), '1'), exposure(id, '2'));
    expect(await rows()).toEqual([{ user_id: '2', arm: 'stable' }]);
  });

  it('of the same users in opposite orders do not deadlock two processes', async () => {
    const waiting = async () =>
      (
        await database.pool.query(`select from pg_stat_activity where wait_event_type = 'Lock'
        and datname = current_database()`)
      ).rowCount;
    const [store, other] = [createExposureStore(database.pool), await database.pool.connect()];
    const write = (userId: string) =>
      other.query(`insert into tandem.exposures select $1, 0, $2, 'stable', 'batch', now(), 0 on conflict do nothing`, [
        ...[id, userId],
      ]);
    await other.query('begin');
    await write('1');
    const writing = store.put([exposure(id, '2'), exposure(id, '1')], 0);
    await expect.poll(waiting).toBe(1);
    await write('2');
    await other.query('commit');
    other.release();
    await writing;
    expect(await rows()).toHaveLength(2);
  });

  it('give the numbers of users by arm and source, and of users with more than one arm', async () => {
    await put(exposure(id, '1'), exposure(id, '2', { source: 'live' }), exposure(id, '3'));
    await put(exposure(id, '3', { arm: 'b' }), exposure(id, '4', { arm: 'b' }));
    await put(exposure(id, '1', { step: 1 }), exposure(id, '2', { step: 1, arm: 'b' }), exposure(other, '9'));
    expect(await figures()).toMatchObject({
      exposed: [
        { arm: 'b', source: 'batch', users: 2 },
        { arm: 'stable', source: 'batch', users: 2 },
        { arm: 'stable', source: 'live', users: 1 },
      ],
      multipleExposures: 1,
    });
    expect(await figures(1)).toMatchObject({ multipleExposures: 0 });
    expect(await figures(7)).toMatchObject({ counts: [], exposed: [], multipleExposures: 0 });
  });

  it('of an erased user are deleted in all rollouts and steps, even those that a restore has undone, and later ones are omitted', async () => {
    const event = { source: 't', type: 'x', userId: '1', time: null, data: null };
    await createEventStore(database.pool).accept([{ ...event, id: 'a' }]);
    await database.pool.query(`update tandem.rollouts set plan = '{"steps": [1, 5, 100]}' where id = $1`, [id]);
    await put(exposure(id, '1', { contextVersion: 1 }), exposure(id, '1', { step: 2 }), exposure(other, '1'));
    await put(exposure(id, '2'));
    const store = createErasureStore(database.pool);
    const { tombstone } = await store.setTombstone('1');
    expect(await store.deleteRows([tombstone.number])).toMatchObject({ exposures: 3 });
    await put(exposure(id, '1', { contextVersion: 1 }), exposure(id, '1', { contextVersion: 2, arm: 'b' }));
    expect(await rows()).toEqual([{ user_id: '2', arm: 'stable' }]);
    await store.readmit('1');
    await put(exposure(id, '1', { contextVersion: 3 }));
    expect(await store.deleteRows([tombstone.number])).toMatchObject({ exposures: 0 });
    expect(await rows()).toHaveLength(2);
  });

  it('are deleted 180 days after the end of their rollout, not before', async () => {
    await put(exposure(id, '1'), exposure(other, '1'), exposure(other, '2'));
    await database.pool.query(`update tandem.exposures set at = now() - interval '2 years'`);
    await database.pool.query(`update tandem.rollouts set ended_at = now() - interval '179 days' where id = $1`, [
      other,
    ]);
    expect(await expireRows(database.pool)).toBe(0);
    await database.pool.query(`update tandem.rollouts set ended_at = now() - interval '181 days' where id = $1`, [
      other,
    ]);
    expect(await expireRows(database.pool)).toBe(2);
    expect(await rows()).toEqual([{ user_id: '1', arm: 'stable' }]);
  });
});

describe('counts of exposed users', () => {
  /** Counts the rows in the same way as a look. */
  const grouped = async (step: number) => {
    const { rows: exposed } = await database.pool.query<{ arm: string; source: string; users: number }>(
      `select arm, source, count(*)::int as users from tandem.exposures where rollout_id = $1 and step = $2
        group by arm, source order by arm, source`,
      [id, step],
    );
    const { rows: newUsers } = await database.pool.query<{ day: string; users: number }>(
      `select to_char(at at time zone 'UTC', 'YYYY-MM-DD') as day, count(*)::int as users from tandem.exposures
        where rollout_id = $1 and step = $2 group by day order by day`,
      [id, step],
    );
    const { rowCount: multipleExposures } = await database.pool.query(
      'select from tandem.exposures where rollout_id = $1 and step = $2 group by user_id having count(*) > 1',
      [id, step],
    );
    return { counts: [], exposed, newUsers, multipleExposures };
  };
  const user = fc.constantFrom('1', '2', '3', '4', '5', '6');
  const shown = fc.record({
    userId: user,
    step: fc.constantFrom(0, 1),
    arm: fc.constantFrom('stable', 'b', 'c'),
    source: fc.constantFrom('batch' as const, 'live' as const),
    at: fc.constantFrom(0, -90_000_000),
  });
  const flush = fc.array(shown, { maxLength: 8 });
  const happening = fc.oneof(
    { weight: 3, arbitrary: flush.map((shown) => ({ shown })) },
    { weight: 1, arbitrary: user.map((erased) => ({ erased })) },
  );

  it('equal those of the rows, whatever is flushed and erased concurrently or repeatedly', async () => {
    const erasures = createErasureStore(database.pool);
    const happen = async (one: { shown: Partial<ReturnType<typeof exposure>>[] } | { erased: string }) => {
      if ('shown' in one) return put(...one.shown.map((of) => exposure(id, of.userId ?? '', of)));
      const { tombstone } = await erasures.setTombstone(one.erased);
      await erasures.deleteRows([tombstone.number]);
      await erasures.readmit(one.erased);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(happening, { maxLength: 5 }), { maxLength: 4 }), async (rounds) => {
        await database.pool.query('delete from tandem.exposures');
        for (const atOnce of rounds) await Promise.all(atOnce.map(happen));
        for (const step of [0, 1]) expect(await figures(step)).toEqual(await grouped(step));
      }),
      { numRuns: 40 },
    );
  });

  it('count a user of two arms once, even if two processes write the user concurrently', async () => {
    for (let round = 0; round < 20; round++) {
      const users = Array.from({ length: 50 }, (_, i) => `${round}-${i}`);
      await Promise.all(['stable', 'b', 'c'].map((arm) => put(...users.map((user) => exposure(id, user, { arm })))));
    }
    expect(await figures()).toMatchObject({ multipleExposures: 1_000 });
    await database.pool.query(`delete from tandem.exposures where arm = 'c'`);
    expect(await figures()).toEqual(await grouped(0));
    await database.pool.query(`delete from tandem.exposures where arm = 'b'`);
    expect(await figures()).toMatchObject({ multipleExposures: 0, exposed: [{ arm: 'stable', users: 1_000 }] });
  });

  it('of the previous release equal those of its rows, which the migration counts', async () => {
    await put(exposure(id, '1'), exposure(id, '2', { source: 'live' }), exposure(id, '1', { arm: 'b' }));
    const counted = await figures();
    await database.pool.query('delete from tandem.exposure_counts; delete from tandem.multiple_exposures');
    const file = await readFile(new URL('../../../../migrations/0054_count_exposures.sql', import.meta.url), 'utf8');
    const [fill = ''] = /insert into tandem.exposure_counts\nselect[\s\S]*?group by 1, 2;/.exec(file) ?? [];
    await database.pool.query(fill);
    expect(await figures()).toEqual(counted);
  });
});

describe('counts of what arms served', () => {
  const store = () => createArmCountStore(database.pool);

  it('of two processes add up; later sums of a process replace its earlier ones', async () => {
    const [one, two] = [sums({ reads: 3 }), sums({ reads: 5 })];
    await store().put([one, two, sums({ reads: 1, source: 'live' }), sums({ reads: 9, step: 1 })]);
    await store().put([{ ...one, counts: { ...one.counts, reads: 4, errors: 2 } }]);
    const { counts } = await figures();
    expect(counts.map(({ arm, source, counts: { reads, errors } }) => [arm, source, reads, errors])).toEqual([
      ['stable', 'batch', 9, 3],
      ['stable', 'live', 1, 1],
    ]);
    expect(counts[0]?.counts.latency).toEqual([0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('of a deleted rollout do not prevent the others from being written', async () => {
    await store().put([sums({ reads: 1, rolloutId: randomUUID() }), sums({ reads: 2 })]);
    expect((await figures()).counts).toMatchObject([{ counts: { reads: 2 } }]);
  });
});
