/** Reports of a lost past, by logins with and without the right to begin another history. */
import { randomBytes } from 'node:crypto';
import type { LostLabel } from '@tandem/freshness/lost-past';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createPool } from './database.ts';
import { reportLostPast } from './report-lost-past.ts';
import { findSettings } from './settings.ts';

const reader = `reader_${randomBytes(4).toString('hex')}`;
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database.drop());

const currentHistory = async () => (await findSettings(database.pool)).history;
const lostIn = (history: string): LostLabel => ({ history, predictor: 'p', userId: '1', label: 2, version: 1 });

/** A process: its reports, and what they counted and logged. */
function createProcess(pool = database.pool) {
  const counts = { lost: 0 };
  const logged: unknown[] = [];
  const { report } = reportLostPast(pool, {
    metrics: { lostPasts: { inc: () => void counts.lost++ } },
    log: { error: (event, fields) => void logged.push({ event, ...fields }) },
  });
  return { report, counts, logged };
}

test('another history begins once, however many processes report, and is audited', async () => {
  const before = await currentHistory();
  const processes = [createProcess(), createProcess(), createProcess()];
  await Promise.all(processes.map(({ report }) => report(lostIn(before))));
  const after = await currentHistory();
  expect(after).not.toBe(before);
  for (const { report } of processes) await report(lostIn(before));
  expect(await currentHistory()).toBe(after);
  expect(processes.map(({ counts }) => counts.lost)).toEqual([2, 2, 2]);
  expect(processes.flatMap(({ logged }) => logged)).toEqual([
    expect.objectContaining({ event: 'history.commits_lost', predictor: 'p', label: 2, version: 1 }),
  ]);
  const { rows } = await database.pool.query("select actor, detail from tandem.audit where action = 'rotate_history'");
  expect(rows).toEqual([{ actor: 'noticed', detail: { from: before, to: after } }]);
});

test('a login without the right logs once for each history, and never rejects', async () => {
  await database.pool.query(`create role ${reader} login password 'secret'`);
  await database.pool.query(`grant usage on schema tandem to ${reader}`);
  const url = new URL(database.url);
  Object.assign(url, { username: reader, password: 'secret' });
  const pool = createPool({ url: url.href, max: 1, applicationName: 'lost-past-test' });
  try {
    const { report, counts, logged } = createProcess(pool);
    const before = await currentHistory();
    await report(lostIn(before));
    await report(lostIn(before));
    expect(await currentHistory()).toBe(before);
    expect(counts.lost).toBe(2);
    expect(logged).toEqual([
      expect.objectContaining({ event: 'history.commits_lost', remedy: expect.stringContaining('history rotate') }),
    ]);
  } finally {
    await pool.end();
    await database.pool.query(`drop owned by ${reader} cascade`);
    await database.pool.query(`drop role ${reader}`);
  }
});
