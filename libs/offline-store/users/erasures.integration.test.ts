import type { DueSweep } from '@tandem/prediction/erasure/erasure';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { adopt } from '../adopt.ts';
import { createAuthority } from '../certificate/authority.ts';
import { createEventStore } from '../events/events.ts';
import { rewriteContexts } from '../events/pending-patterns.ts';
import { changeEventRules, setPatternsPending } from '../events/rule-changes.ts';
import { clearErased } from '../generations/erased-predictions.ts';
import { putEntries } from '../reads/overlay.ts';
import { createRunStore } from '../runs/run-store.ts';
import { transaction } from '../sql/database.ts';
import { dropPartition, lockPartition, partitionOf } from '../sql/partition.ts';
import { lockAssignments } from '../sql/settings.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from './erasures.ts';

let database: TestDatabase;
let modelVersionId: string;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await createVisits(database.pool, 10);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  modelVersionId =
    (await database.pool.query<{ id: string }>('select id from tandem.model_versions')).rows[0]?.id ?? '';
});
afterEach(async () => {
  await database.pool.query(`truncate tandem.erasures, tandem.user_contexts, tandem.events, tandem.event_ids,
    tandem.outbox, tandem.overlay; update tandem.settings set erasures = 0;
    update tandem.generations set state = 'dropped'`);
});
afterAll(() => database.drop());

const dueOf = (number: number, sweeps: number): DueSweep => ({ number, userId: '1', sweeps, isReadmitted: false });
const store = () => createErasureStore(database.pool);
const send = (userId: string, id: string, data: Record<string, unknown> | null = null) =>
  createEventStore(database.pool).accept([{ source: 't', id, type: 'x', userId, time: null, data }]);
const history = async () => (await store().count()).history;
const waiting = () => count(`from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`);
/** Creates a run of all ten users with committed chunks. */
async function buildTen(): Promise<{ id: string; runId: string }> {
  const runs = createRunStore(database.pool);
  const asked = { predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null } as const;
  const { id: runId, generationId } = await planNow(runs, (await runs.create(asked)).run.id);
  const id = generationId ?? '';
  await database.pool.query(
    `insert into ${partitionOf(id)} (generation_id, user_id, context_version, computed_at, outputs)
      select $1, n::text, 0, now(), '\\x00000000' from generate_series(1, 10) n`,
    [id],
  );
  await database.pool.query(`update tandem.chunks set state = 'committed', scored = 10, erased = 0 where run_id = $1`, [
    runId,
  ]);
  return { id, runId };
}
async function publishTen(): Promise<string> {
  const { id, runId } = await buildTen();
  await publishNow(createRunStore(database.pool), runId);
  return id;
}
const usersOf = async (id: string) =>
  (
    await database.pool.query(
      `select users::int, (select count(*) from ${partitionOf(id)})::int as rows from tandem.generations where id = $1`,
      [id],
    )
  ).rows[0];
const count = async (from: string) => (await database.pool.query(`select ${from}`)).rowCount;

describe('a tombstone', () => {
  it('raises the version and marks it as deleted, even for a user without a context', async () => {
    await send('1', 'a');
    expect((await store().setTombstone('1')).tombstone).toMatchObject({ userId: '1', version: 2, number: 1 });
    expect((await store().setTombstone('2')).tombstone).toMatchObject({ userId: '2', version: 1, number: 2 });
    const authority = createAuthority(database.pool, { timeoutMs: 20_000 });
    const certificate = await authority.certify(['1', '2'], 'visits');
    expect(certificate.user('1', 'visits')).toEqual({ version: 2, touched: 0, deletedVersion: 2 });
    expect(certificate.user('2', 'visits')).toEqual({ version: 1, touched: 0, deletedVersion: 1 });
    await authority.close();
  });

  it('is the same for a repeated erasure, and a new one after a readmission', async () => {
    const { tombstone } = await store().setTombstone('1');
    expect((await store().setTombstone('1')).tombstone).toEqual(tombstone);
    expect(await store().readmit('1')).toMatchObject({ wasErased: true, version: 2 });
    expect(await store().readmit('1')).toMatchObject({ wasErased: false, version: 2 });
    expect((await store().setTombstone('1')).tombstone).toMatchObject({ number: 2, version: 3 });
    expect(await store().readmit('9')).toEqual({
      userId: '9',
      history: tombstone.history,
      version: 0,
      wasErased: false,
    });
  });

  it('deletes the values and data of events; their ids stay, and later events have no effect', async () => {
    await send('1', 'a', { orders: 7 });
    await send('2', 'b', { orders: 8 });
    const { tombstone, contextValues } = await store().setTombstone('1');
    expect(contextValues).toBe(1);
    expect(await store().deleteRows([tombstone.number])).toMatchObject({ events: 1 });
    expect(await count('from tandem.events where data is not null')).toBe(1);
    expect(await count(`from tandem.user_contexts where user_id = '1' and features <> '{}'`)).toBe(0);
    expect(await send('1', 'a', { orders: 7 })).toMatchObject([{ status: 'duplicate' }]);
    expect(await send('1', 'c', { orders: 9 })).toMatchObject([{ status: 'erased', contextVersion: 2 }]);
    expect(await count('from tandem.events where data is not null')).toBe(1);
  });

  it('keeps the data of events that a readmitted user sends, even if the deletes are repeated later', async () => {
    const { tombstone } = await store().setTombstone('1');
    await store().readmit('1');
    await send('1', 'a', { orders: 7 });
    expect(await store().deleteRows([tombstone.number])).toMatchObject({ events: 0 });
    expect(await count('from tandem.events where data is not null')).toBe(1);
  });

  it('deletes the data of events by the versions that they produced, whatever the clock', async () => {
    await send('1', 'before', { orders: 7 });
    const { tombstone } = await store().setTombstone('1');
    await store().readmit('1');
    await send('1', 'after', { orders: 8 });
    // The state if the clock was set back by an hour between the first event and the erasure.
    await database.pool.query(`update tandem.events set accepted_at = accepted_at
      + case id when 'before' then interval '1 hour' else interval '-1 hour' end`);
    expect(await store().deleteRows([tombstone.number])).toMatchObject({ events: 1 });
    expect(await count(`from tandem.events where id = 'after' and data is not null`)).toBe(1);
  });

  it('does not wait for a change of event rules, nor for the rewrite of contexts after it', async () => {
    await send('1', 'a');
    let erasing: Promise<unknown> = Promise.resolve();
    await changeEventRules(database.pool, async (db) => {
      await lockAssignments(db);
      erasing = store().setTombstone('1');
      await expect.poll(waiting).toBe(1);
      await setPatternsPending(db, 'visits');
    });
    await expect(erasing).resolves.toMatchObject({ tombstone: { number: 1 } });
    await Promise.all([store().setTombstone('2'), rewriteContexts(database.pool)]);
    await rewriteContexts(database.pool);
    expect(await count('from tandem.predictors where patterns_pending')).toBe(0);
    expect(await count('from tandem.user_contexts where version = deleted_version')).toBe(2);
  });
});

describe('the count of erasures', () => {
  it('follows the order of commits, so that a process with the same count knows all erasures', async () => {
    const numbers = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => (await store().setTombstone(`${i}`)).tombstone.number),
    );
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(await store().count()).toEqual({ history: await history(), count: 12 });
  });

  it('is part of a certificate, with the unknown tombstones, 1,000 at a time', async () => {
    const authority = createAuthority(database.pool, { timeoutMs: 20_000 });
    const before = await authority.certify([]);
    expect(before.tombstones).toMatchObject({ history: await history(), count: 0 });
    await store().setTombstone('1');
    const { tombstones } = await authority.certify(['2']);
    expect([tombstones?.count, tombstones?.deletedVersion('1'), tombstones?.deletedVersion('2')]).toEqual([1, 1, 0]);
    await database.pool.query(`insert into tandem.erasures (number, user_id, deleted_version)
      select n, 'many ' || n, n from generate_series(2, 1500) n; update tandem.settings set erasures = 1500`);
    expect((await authority.certify([])).tombstones?.count).toBe(1001);
    const last = (await authority.certify([])).tombstones;
    expect([last?.count, last?.deletedVersion('many 1001'), last?.deletedVersion('many 1500')]).toEqual([
      1500, 1001, 1500,
    ]);
    await authority.close();
  });

  it('restarts in another history, where tombstones of the previous history do not count', async () => {
    const authority = createAuthority(database.pool, { timeoutMs: 20_000 });
    await store().setTombstone('1');
    const before = (await authority.certify([])).tombstones;
    await database.pool.query('truncate tandem.erasures; update tandem.settings set erasures = 0');
    await database.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    await store().setTombstone('2');
    const after = (await authority.certify([])).tombstones;
    expect([before?.deletedVersion('1'), before?.deletedVersion('2')]).toEqual([1, 0]);
    expect([after?.history, after?.count, after?.deletedVersion('1'), after?.deletedVersion('2')]).toEqual([
      await history(),
      1,
      0,
      1,
    ]);
    await authority.close();
  });
});

describe('deleted records after a tombstone', () => {
  it('include the overlay’s entries up to it, of every model version, and no later entry', async () => {
    const entry = (userId: string, contextVersion: number) => ({
      ...{ predictor: 'visits', userId, modelVersionId, overlayFloor: 0, contextVersion },
      ...{ source: 'live' as const, computedAt: Date.now(), outputs: Buffer.from([1]) },
    });
    const here = { history: await history() };
    const { tombstone } = await store().setTombstone('1');
    await putEntries(
      database.pool,
      [1, 2].map((n) => ({ ...entry(String(n), 1), ...here })),
    );
    expect(await store().deleteRows([tombstone.number])).toMatchObject({ overlayEntries: 1 });
    await putEntries(database.pool, [{ ...entry('1', 2), ...here }]);
    expect(await store().deleteRows([tombstone.number])).toMatchObject({ overlayEntries: 0 });
    expect(await count('from tandem.overlay')).toBe(2);
  });

  it('include the prediction in each published generation, by its label, and update the generation’s count', async () => {
    const ids = [await publishTen(), await publishTen(), await publishTen()];
    const numbers: number[] = [];
    for (const userId of ['1', '2', 'elsewhere']) numbers.push((await store().setTombstone(userId)).tombstone.number);
    // The user has been readmitted by then.
    for (const id of ids)
      await database.pool.query(`update ${partitionOf(id)} set context_version = 2 where user_id = '2'`);
    expect(await store().deleteRows(numbers)).toMatchObject({ predictions: 3 });
    expect(await store().deleteRows(numbers)).toMatchObject({ predictions: 0 });
    for (const id of ids) expect(await usersOf(id)).toEqual({ users: 9, rows: 9 });
  });

  it('are counted once if several users are erased concurrently', async () => {
    const ids = [await publishTen(), await publishTen()];
    const erased = Array.from({ length: 8 }, async (_, i) =>
      store().deleteRows([(await store().setTombstone(`${i + 1}`)).tombstone.number]),
    );
    expect((await Promise.all(erased)).map(({ predictions }) => predictions)).toEqual(erased.map(() => 2));
    for (const id of ids) expect(await usersOf(id)).toEqual({ users: 2, rows: 2 });
  });

  it('are found in the other generations if one is dropped concurrently', async () => {
    const [dropped, kept] = [await publishTen(), await publishTen()];
    const { tombstone } = await store().setTombstone('1');
    let deleting: Promise<unknown> = Promise.resolve();
    await transaction(database.pool, async (db) => {
      await lockPartition(db, dropped);
      deleting = store().deleteRows([tombstone.number]);
      await expect.poll(waiting).toBe(1);
      await db.query(`update tandem.generations set state = 'dropped' where id = $1`, [dropped]);
      await dropPartition(db, dropped);
    });
    expect(await deleting).toMatchObject({ predictions: 1 });
    expect(await usersOf(kept)).toEqual({ users: 9, rows: 9 });
  });

  it('include the prediction in a generation that is being built, before its publication and without the lock', async () => {
    const { id, runId } = await buildTen();
    // There are more erasures than one statement clears.
    await database.pool.query(`insert into tandem.erasures (number, user_id, deleted_version)
      select n, case n when 1 then '1' when 4500 then '2' else 'many ' || n end, 1 from generate_series(1, 4500) n`);
    await transaction(database.pool, async (db) => {
      await lockAssignments(db);
      await clearErased(database.pool, id);
      expect(await usersOf(id)).toEqual({ users: 0, rows: 8 });
    });
    await database.pool.query(`insert into tandem.erasures (number, user_id, deleted_version) values (4501, '3', 1)`);
    await publishNow(createRunStore(database.pool), runId);
    expect(await usersOf(id)).toEqual({ users: 7, rows: 7 });
  });
});

describe('the sweeps after an erasure', () => {
  it('come at increasing intervals, each once, and end', async () => {
    const { tombstone } = await store().setTombstone('1');
    expect(await store().due(10)).toEqual([]);
    const waits: (number | null)[] = [];
    for (let sweep = 0; sweep < 5; sweep++) {
      const { rows } = await database.pool.query<{ seconds: number | null }>(
        'select extract(epoch from sweep_at - erased_at)::float8 as seconds from tandem.erasures',
      );
      waits.push(rows[0]?.seconds == null ? null : Math.round(rows[0].seconds));
      await database.pool.query(`update tandem.erasures set sweep_at = now() where sweep_at is not null`);
      const due = await store().due(10);
      if (due.length > 0) expect(due).toEqual([dueOf(tombstone.number, sweep)]);
      await store().swept(due);
    }
    expect(waits).toEqual([5, 180, 900, 3600, null]);
  });

  it('are each counted once, even if two workers run it, and however late they are', async () => {
    const { tombstone } = await store().setTombstone('1');
    await database.pool.query(`update tandem.erasures set erased_at = now() - interval '1 day', sweep_at = now()`);
    const [one, other] = [await store().due(10), await store().due(10)];
    await store().swept(one);
    await store().swept(other);
    expect(await store().due(10)).toEqual([dueOf(tombstone.number, 1)]);
  });

  it('restart for erasures above a number whose sweeps have ended, some seconds later, and end again', async () => {
    for (const userId of ['1', '2', '3']) await store().setTombstone(userId);
    await database.pool.query('update tandem.erasures set sweeps = 4, sweep_at = null where number < 3');
    const before = 'from tandem.erasures where number = 3 and sweep_at is not null';
    const planned = (await database.pool.query(`select sweep_at ${before}`)).rows;
    const [clock] = (await database.pool.query('select clock_timestamp()::text as before')).rows;
    await store().sweepAgain(1);
    const [{ after }] = (await database.pool.query('select clock_timestamp()::text as after')).rows;
    expect(await count('from tandem.erasures where number = 1 and sweep_at is null')).toBe(1);
    expect((await database.pool.query(`select sweep_at ${before}`)).rows).toEqual(planned);
    const soon = `sweep_at between '${clock.before}'::timestamptz + interval '3 s'
      and '${after}'::timestamptz + interval '5 s'`;
    expect(await count(`from tandem.erasures where number = 2 and ${soon}`)).toBe(1);
    await database.pool.query('update tandem.erasures set sweep_at = now() where number = 2');
    const due = await store().due(10);
    expect(due).toEqual([{ ...dueOf(2, 4), userId: '2' }]);
    await store().swept(due);
    expect(await count('from tandem.erasures where number = 2 and sweep_at is null')).toBe(1);
  });

  it('restart for all, in pages', async () => {
    await database.pool.query(`insert into tandem.erasures (number, user_id, deleted_version)
      select n, 'many ' || n, n from generate_series(1, 20001) n`);
    await store().sweepAgain(0);
    expect(await count('from tandem.erasures where sweep_at is null')).toBe(0);
  });

  it('report which users were readmitted since', async () => {
    const { tombstone } = await store().setTombstone('1');
    await store().readmit('1');
    await database.pool.query(`update tandem.erasures set sweep_at = now()`);
    expect(await store().due(10)).toEqual([{ ...dueOf(tombstone.number, 0), isReadmitted: true }]);
  });
});

describe('while a migration raises the number of the protocol', () => {
  afterEach(() => database.pool.query('update tandem.settings set protocol = 1'));

  it.each(['setTombstone', 'readmit'] as const)('%s that began before the change writes nothing', async (write) => {
    await send('1', 'a');
    const begun = await transaction(database.pool, async (db) => {
      await db.query('update tandem.settings set protocol = 2');
      const writing = store()
        [write]('1')
        .catch((error: unknown) => error);
      await expect.poll(waiting, { timeout: 20_000 }).toBe(1);
      return { writing };
    });
    expect(await begun.writing).toMatchObject({ code: 'protocol_unknown' });
    expect(await count('from tandem.erasures')).toBe(0);
    expect(await count(`from tandem.user_contexts where deleted_version > 0`)).toBe(0);
  });

  it('the change waits for the table that a sweep is deleting from, and the sweep deletes from no other table', async () => {
    const id = await publishTen();
    await send('1', 'a', { orders: 7 });
    const { tombstone } = await store().setTombstone('1');
    const { sweeping, raising } = await transaction(database.pool, async (db) => {
      await db.query('lock table tandem.outcomes in access exclusive mode');
      const sweeping = store()
        .deleteRows([tombstone.number])
        .catch((error: unknown) => error);
      await expect.poll(waiting, { timeout: 20_000 }).toBe(1);
      const raising = database.pool.query('select tandem.raise_protocol(2)');
      await expect.poll(waiting, { timeout: 20_000 }).toBe(2);
      return { sweeping, raising };
    });
    await raising;
    expect(await sweeping).toMatchObject({ code: 'protocol_unknown' });
    expect(await count('from tandem.events where data is not null')).toBe(0);
    expect(await usersOf(id)).toEqual({ users: 10, rows: 10 });
  });
});
