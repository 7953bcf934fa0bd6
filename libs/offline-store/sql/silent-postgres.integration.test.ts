/**
 * A Postgres that receives data but no longer answers, as after a network failure. Reads and events fail long before
 * the limits of the connection, ten minutes here.
 */
import type { Assignment } from '@tandem/freshness/certificate';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { createRegistry } from '../models/registry.ts';
import { createStoredPredictions } from '../reads/predictions.ts';
import { startProxy } from '../stalling-proxy.fixture.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createPool, withClient } from './database.ts';
import { createHistoryMarks, lookForMarks } from './history-marks.ts';

const PATIENT = { connectTimeoutMs: 600_000, statementTimeoutMs: 600_000, max: 2 };
const unavailable = { code: 'unavailable', retryAfter: 1 };
const ASSIGNMENT: Assignment = {
  ...{ predictor: 'visits', arm: 'stable', modelNumber: 1, modelVersionId: 'one', generation: null },
  ...{ overlayFloor: 0, revision: 0, expiresFrom: null },
};

let database: TestDatabase;
let proxy: Awaited<ReturnType<typeof startProxy>>;
let pool: ReturnType<typeof createPool>;
beforeEach(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  proxy = await startProxy(new URL(database.url));
  pool = createPool({ url: proxy.url, applicationName: 'silent', ...PATIENT });
});
afterEach(async () => {
  proxy.close();
  await pool.end();
  await database.drop();
});

test('a lookup of rows gives up early, since the read can still infer live', async () => {
  const rows = createStoredPredictions(pool);
  proxy.stall(true);
  await expect(rows.find(ASSIGNMENT, ['1'])).rejects.toMatchObject(unavailable);
});

test('the known state of a predictor is used if a later revision cannot be read', async () => {
  const registry = createRegistry(pool);
  expect(await registry.predictor('visits')).toBeDefined();
  proxy.stall(true);
  registry.noticeRevision(99, 'another');
  expect(await registry.predictor('visits')).toMatchObject({ name: 'visits' });
});

test('a sender of events gets an error with a retry time', async () => {
  const event = { source: 't', id: '1', type: 'x', userId: '7', time: null, data: null };
  const accepted = await createEventStore(pool, { withinMs: 60_000 }).accept([event]);
  expect(accepted).toMatchObject([{ status: 'accepted', contextVersion: 1 }]);
  proxy.stall(true);
  const hasty = createEventStore(pool, { withinMs: 100 });
  await expect(hasty.accept([{ ...event, id: '2' }])).rejects.toMatchObject(unavailable);
});

test('a look for marks, and a mark, give up in seconds, and the next look uses another connection', async () => {
  const marks = createHistoryMarks(pool);
  await marks.look([]);
  proxy.stall(true);
  await Promise.all([
    expect(marks.look([])).rejects.toMatchObject(unavailable),
    expect(marks.leave()).rejects.toMatchObject(unavailable),
  ]);
  proxy.stall(false);
  await expect.poll(() => marks.look([]).then(() => 'answered'), { timeout: 20_000 }).toBe('answered');
}, 60_000);

test('a look for marks on a given connection gives up in seconds', async () => {
  const looked = withClient(pool, (client) => {
    proxy.stall(true);
    return lookForMarks(pool, client, []);
  });
  await expect(looked).rejects.toMatchObject(unavailable);
}, 60_000);
