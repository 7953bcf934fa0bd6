/** A database that is set back without a word, as one who remembers finds it. */
import { createLossNotice, type HistoryMark, type MarkMemory } from '@tandem/prediction/events/notice-loss';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { createHistoryMarks, lookForMark } from './history-marks.ts';
import { findSettings } from './settings.ts';
import { createTestDatabase, type TestDatabase } from './store.fixture.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  await setBack();
});
afterAll(() => database.drop());

/** As a copy from before the first mark finds it: identifier, timeline and rotation are the same. */
const setBack = () => database.pool.query('truncate tandem.history_marks restart identity');
const ageMarks = () => database.pool.query(`update tandem.history_marks set left_at = now() - interval '1 min'`);
const currentHistory = async () => (await findSettings(database.pool)).history;
const countMarks = async () => (await database.pool.query('select from tandem.history_marks')).rowCount;
const notice = (memory?: MarkMemory) => createLossNotice(createHistoryMarks(database.pool), memory);

test('rounds leave a mark every few seconds, whoever leaves it, and notice nothing where nothing was lost', async () => {
  const [one, other] = [notice(), notice()];
  const before = await currentHistory();
  for (const { round } of [one, other, one, other]) expect(await round()).toBe(false);
  expect(await countMarks()).toBe(1);
  await ageMarks();
  expect(await one.round()).toBe(false);
  expect(await other.round()).toBe(false);
  expect(await countMarks()).toBe(2);
  expect(other.known()).toEqual(one.known());
  expect(await currentHistory()).toBe(before);
});

test('a mark that is missing begins another history, once, however many notice', async () => {
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

test('the number of a mark is not enough: another past gives it away again', async () => {
  const { round, known } = notice();
  await round();
  await setBack();
  await database.pool.query('insert into tandem.history_marks default values');
  expect(known()?.seq).toBe(1);
  expect(await round()).toBe(true);
});

test('a process that starts anew is told by what outlived the one before', async () => {
  let kept: HistoryMark | null = null;
  const memory: MarkMemory = {
    recall: async () => kept,
    keep: async (mark) => {
      kept = mark;
    },
  };
  await notice(memory).round();
  const lost = kept;
  await setBack();
  const anew = notice(memory);
  expect(await anew.round()).toBe(true);
  expect(kept).toEqual(anew.known());
  expect(kept).not.toMatchObject({ past: (lost as HistoryMark | null)?.past });
});

test('a mark of another past, or one that is older than all that are kept, tells nothing', async () => {
  const { round, known } = notice();
  await database.pool.query(`select setval(pg_get_serial_sequence('tandem.history_marks', 'seq'), 100)`);
  await round();
  const mine = known();
  if (!mine) throw new Error('no mark was left');
  const look = (other: Partial<HistoryMark>) =>
    lookForMark(database.pool, database.pool, { ...mine, mark: '00000000-0000-4000-8000-000000000000', ...other });
  expect(await look({ past: '0123456789abcdef' })).toMatchObject({ isLost: false });
  expect(await look({ seq: mine.seq - 1 })).toMatchObject({ isLost: false, newest: mine });
  expect(await look({})).toMatchObject({ isLost: true });
});
