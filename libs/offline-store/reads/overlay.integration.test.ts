import { randomUUID } from 'node:crypto';
import type { Assignment } from '@tandem/freshness/certificate';
import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createPool, query, transaction } from '../sql/database.ts';
import { createPartition } from '../sql/partition.ts';
import { findSettings } from '../sql/settings.ts';
import { createTestDatabase, patientPredictions, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createOverlayStore } from './overlay.ts';

let database: TestDatabase;
let base: OverlayEntry;
let assignment: Assignment;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const { predictors } = await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  const modelVersionId = predictors[0]?.modelVersionId ?? '';
  const { history } = await findSettings(database.pool);
  base = {
    predictor: 'visits',
    userId: '1',
    modelVersionId,
    history,
    overlayFloor: 1,
    contextVersion: 5,
    source: 'live',
    computedAt: 1_000_000,
    outputs: Buffer.from([1, 2]),
  };
  assignment = {
    predictor: 'visits',
    arm: 'stable',
    modelVersionId,
    modelNumber: 1,
    generation: null,
    overlayFloor: 1,
    revision: 0,
    expiresFrom: null,
  };
});
beforeEach(() => database.pool.query('truncate tandem.overlay'));
afterAll(() => database.drop());

const stored = async () => (await patientPredictions(database.pool).find(assignment, ['1'])).get('1')?.[0];

test('an entry is read as it was stored', async () => {
  await createOverlayStore(database.pool).put([base]);
  const { predictor: _, userId: __, ...rest } = base;
  expect(await stored()).toEqual({ ...rest, refreshed: false, layer: 'overlay', generationId: null });
});

const attempts: [string, Partial<OverlayEntry>, boolean][] = [
  ['a newer label', { contextVersion: 6 }, true],
  ['an older label', { contextVersion: 4, computedAt: 2_000_000 }, false],
  ['the same label computed later', { computedAt: 2_000_000 }, true],
  ['the same label computed earlier', { computedAt: 500_000 }, false],
  ['a higher floor with an older label', { overlayFloor: 2, contextVersion: 1 }, true],
  ['a lower floor with a newer label', { overlayFloor: 0, contextVersion: 9 }, false],
  ['an entry of another history', { history: '0'.repeat(16), contextVersion: 9 }, false],
];
test.each(attempts)('%s replaces the stored entry: %o %s', async (_, changes, replaces) => {
  const store = createOverlayStore(database.pool);
  await store.put([base]);
  await store.put([{ ...base, ...changes, outputs: Buffer.from([9]) }]);
  expect((await stored())?.outputs[0]).toBe(replaces ? 9 : 1);
});

test('an entry of an earlier history is replaced by any entry of this history', async () => {
  await createOverlayStore(database.pool).put([{ ...base, contextVersion: 99 }]);
  await database.pool.query(`update tandem.overlay set history = 'ffffffffffffffff'`);
  await createOverlayStore(database.pool).put([base]);
  expect((await stored())?.contextVersion).toBe(5);
});

test('of two entries of one user in a batch the later is kept, and writers in opposite order do not deadlock', async () => {
  const store = createOverlayStore(database.pool);
  await store.put([base, { ...base, contextVersion: 7 }, { ...base, contextVersion: 6 }]);
  expect((await stored())?.contextVersion).toBe(7);
  const entries = Array.from({ length: 300 }, (_, i) => ({ ...base, userId: String(i), contextVersion: 8 }));
  for (let round = 0; round < 10; round++)
    await Promise.all([store.put(entries), store.put(entries.toReversed()), store.put(entries)]);
  expect((await query<{ n: number }>(database.pool, { text: 'select count(*) as n from tandem.overlay' }))[0]?.n).toBe(
    300,
  );
});

test('entries of different sources and floors are kept together; an entry of an unknown model version is not', async () => {
  await createOverlayStore(database.pool).put([
    base,
    { ...base, userId: '2', source: 'batch' },
    { ...base, userId: 'with "quotes" and \\', overlayFloor: 2 },
    { ...base, userId: '3', modelVersionId: '0'.repeat(32) },
    { ...base, userId: '4', outputs: Buffer.alloc(0), contextVersion: 2 ** 53 - 1 },
  ]);
  const { rows } = await database.pool.query(
    'select user_id, source, overlay_floor as floor, outputs, context_version as version from tandem.overlay order by 1',
  );
  const outputs = base.outputs;
  expect(rows).toEqual([
    { user_id: '1', source: 'live', floor: 1, outputs, version: 5 },
    { user_id: '2', source: 'batch', floor: 1, outputs, version: 5 },
    { user_id: '4', source: 'live', floor: 1, outputs: Buffer.alloc(0), version: 2 ** 53 - 1 },
    { user_id: 'with "quotes" and \\', source: 'live', floor: 2, outputs, version: 5 },
  ]);
});

test('reads of changing generations leave no prepared statements on connections', async () => {
  const pool = createPool({ url: database.url, max: 1, applicationName: 'prepared' });
  const predictions = patientPredictions(pool);
  for (let i = 0; i < 4; i++) {
    const generation = { id: randomUUID(), number: i, buckets: 1, startedAt: 0, isOutdated: false, base: null };
    await transaction(database.pool, (db) => createPartition(db, generation.id));
    await predictions.find({ ...assignment, generation }, ['1']);
  }
  await predictions.find(assignment, ['1']);
  expect(await query(pool, { text: 'select name from pg_prepared_statements' })).toEqual([
    { name: 'tandem-stored-overlay' },
  ]);
  await pool.end();
});
