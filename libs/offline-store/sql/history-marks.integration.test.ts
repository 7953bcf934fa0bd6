/** A database that was restored without an announcement, and processes that remember its marks. */
import { createLossNotice, type HistoryMark, type MarkMemory } from '@tandem/prediction/events/notice-loss';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createHistoryMarks, lookForMarks } from './history-marks.ts';
import { findSettings } from './settings.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  await setBack();
});
afterAll(() => database.drop());

/** Removes the marks, as in a copy from before the first mark with the same identifier, timeline and rotation. */
const setBack = () => database.pool.query('truncate tandem.history_marks restart identity');
const ageMarks = () => database.pool.query(`update tandem.history_marks set left_at = now() - interval '1 min'`);
/** Makes the marks new, so that the next round writes none however slow the machine is. */
const renewMarks = () => database.pool.query('update tandem.history_marks set left_at = now()');
const currentHistory = async () => (await findSettings(database.pool)).history;
const countMarks = async () => (await database.pool.query('select from tandem.history_marks')).rowCount;
const notice = (memory: MarkMemory = createMemory()) => createLossNotice(createHistoryMarks(database.pool), memory);

/** Creates a memory that processes share. Its server can be down or replaced, and another process can change it. */
function createMemory() {
  const server = {
    id: 'one' as string | null,
    isDown: false,
    mark: null as HistoryMark | null,
    duringRecall: () => {},
  };
  return Object.assign(server, {
    serverId: () => server.id,
    async recall() {
      if (server.isDown) throw new Error('no connection');
      const { mark } = server;
      server.duringRecall();
      return {
        marks: mark === null ? [] : [mark],
        async replace(next: HistoryMark) {
          if (server.mark !== mark) return false;
          server.mark = next;
          return true;
        },
      };
    },
  });
}

test('rounds write a mark every few seconds from any process, and detect nothing if nothing was lost', async () => {
  const [one, other] = [notice(), notice()];
  const before = await currentHistory();
  for (const { round } of [one, other, one, other]) {
    await renewMarks();
    expect(await round()).toBe(false);
  }
  expect(await countMarks()).toBe(1);
  await ageMarks();
  expect(await one.round()).toBe(false);
  await renewMarks();
  expect(await other.round()).toBe(false);
  expect(await countMarks()).toBe(2);
  expect(await currentHistory()).toBe(before);
});

test('a missing mark begins another history once, however many processes detect it', async () => {
  const processes = [notice(), notice(), notice()];
  for (const { round } of processes) await round();
  const before = await currentHistory();
  await setBack();
  expect(await Promise.all(processes.map(({ round }) => round()))).toContain(true);
  const after = await currentHistory();
  expect(after).not.toBe(before);
  const { rows } = await database.pool.query(`select actor, detail from tandem.audit where action = 'rotate_history'`);
  expect(rows).toEqual([{ actor: 'noticed', detail: { from: before, to: after } }]);
  for (const { round } of processes) expect(await round()).toBe(false);
  expect(await currentHistory()).toBe(after);
});

test('under an unknown protocol no mark is written, and no other history begins', async () => {
  const { round } = notice();
  await round();
  const before = await currentHistory();
  await database.pool.query('update tandem.settings set protocol = 2');
  await ageMarks();
  await round();
  expect(await countMarks()).toBe(1);
  await setBack();
  expect(await round()).toBe(false);
  expect([await countMarks(), await currentHistory()]).toEqual([0, before]);
  await database.pool.query('update tandem.settings set protocol = 1');
  expect(await round()).toBe(true);
  expect(await currentHistory()).not.toBe(before);
});

test('a mark of another past is distinguished, even if its number is the same', async () => {
  const memory = createMemory();
  const { round } = notice(memory);
  await round();
  await setBack();
  await database.pool.query('insert into tandem.history_marks default values');
  expect(memory.mark?.seq).toBe(1);
  expect(await round()).toBe(true);
});

test('a process that starts after the restore detects it by the remembered mark', async () => {
  const memory = createMemory();
  await notice(memory).round();
  const lost = memory.mark;
  await setBack();
  const restarted = notice(memory);
  expect(restarted.isSure()).toBe(false);
  expect(await restarted.round()).toBe(true);
  expect(restarted.isSure()).toBe(true);
  expect(memory.mark?.past).not.toBe(lost?.past);
});

test('a memory that cannot be read is not overwritten: a later round of the same process detects the restore', async () => {
  const memory = createMemory();
  await notice(memory).round();
  const lost = memory.mark;
  await setBack();
  memory.isDown = true;
  const restarted = notice(memory);
  expect(await restarted.round()).toBe(false);
  expect(restarted.isSure()).toBe(false);
  expect(memory.mark).toEqual(lost);
  memory.isDown = false;
  expect(await restarted.round()).toBe(true);
  expect(restarted.isSure()).toBe(true);
});

test('a mark that another process stored concurrently is not overwritten by an older mark', async () => {
  const memory = createMemory();
  const { round } = notice(memory);
  await round();
  await ageMarks();
  const later = { past: await currentHistory(), seq: 7, mark: '00000000-0000-4000-8000-000000000000' };
  memory.duringRecall = () => {
    memory.mark = later;
  };
  expect(await round()).toBe(false);
  expect(memory.mark).toBe(later);
  memory.duringRecall = () => {};
  expect(await round()).toBe(true);
});

test('the memory of another server is read before the process is sure again', async () => {
  const memory = createMemory();
  const { round, isSure } = notice(memory);
  await round();
  expect(isSure()).toBe(true);
  memory.id = 'two';
  expect(isSure()).toBe(false);
  await round();
  expect(isSure()).toBe(true);
  memory.duringRecall = () => {
    memory.id = 'three';
  };
  await round();
  expect(isSure()).toBe(false);
});

test('a process is not sure while the server of the memory is unknown', async () => {
  const memory = createMemory();
  memory.id = null;
  const { connected, round, isSure } = notice(memory);
  await round();
  expect(isSure()).toBe(false);
  await connected(createHistoryMarks(database.pool).look);
  expect(isSure()).toBe(false);
  expect(memory.mark).not.toBeNull();
  memory.id = 'one';
  await round();
  expect(isSure()).toBe(true);
  memory.id = null;
  expect(isSure()).toBe(false);
});

test('a new connection looks for the remembered mark, and the process is not sure if it cannot be read', async () => {
  const memory = createMemory();
  const { connected, round, isSure } = notice(memory);
  const look = createHistoryMarks(database.pool).look;
  expect(await connected(look)).toBe(false);
  expect(isSure()).toBe(true);
  await round();
  memory.isDown = true;
  await round();
  expect(isSure()).toBe(true);
  // A round that read the memory before the doubt proves nothing about the current database.
  memory.isDown = false;
  let during: Promise<unknown> = Promise.resolve();
  memory.duringRecall = () => {
    memory.duringRecall = () => {};
    memory.isDown = true;
    during = connected(look);
  };
  await round();
  await during;
  expect(isSure()).toBe(false);
  memory.isDown = false;
  await setBack();
  expect(await connected(look)).toBe(true);
  expect(isSure()).toBe(true);
});

test('a mark of another past, or one older than all kept marks, proves nothing', async () => {
  const memory = createMemory();
  await database.pool.query(`select setval(pg_get_serial_sequence('tandem.history_marks', 'seq'), 100)`);
  await notice(memory).round();
  const mine = memory.mark;
  if (!mine) throw new Error('no mark was left');
  const look = (other: Partial<HistoryMark>) =>
    lookForMarks(database.pool, database.pool, [
      mine,
      { ...mine, mark: '00000000-0000-4000-8000-000000000000', ...other },
    ]);
  expect(await look({ past: '0123456789abcdef' })).toMatchObject({ isLost: false });
  expect(await look({ seq: mine.seq - 1 })).toMatchObject({ isLost: false, newest: mine });
  expect(await look({})).toMatchObject({ isLost: true });
});
