/** Tests of the API's reports about its stores: metrics, and the wide event of a request. */
import { createLog } from '@tandem/telemetry/log';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';

let api: TestApi;
const lines: Record<string, unknown>[] = [];
beforeAll(async () => {
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  const log = createLog({ level: 'info', name: 'api', destination });
  api = await createTestApi({}, inject('redisUrl'), { megabytes: 1 }, { log, logShare: 1 });
});
beforeEach(() => {
  lines.length = 0;
});
afterAll(() => api?.close());

/** Returns the value of the first series whose name starts with the text. */
async function sample(series: string): Promise<number | undefined> {
  return (await samples(series))[0];
}

async function samples(series: string): Promise<number[]> {
  const text = await (await api.get('/metrics', { accept: 'text/plain' })).text();
  const lines = text.split('\n').filter((one) => one.startsWith(series));
  return lines.map((line) => Number(line.split(' ').at(-1)));
}

const read = async (userId: string, headers = {}) =>
  (await api.get(`/v1/predictions/repurchase/${userId}`, headers)).json() as Promise<Record<string, unknown>>;
const send = (subject: string) =>
  api.post(
    '/v1/events',
    { specversion: '1.0', id: crypto.randomUUID(), source: '/test', type: 'order.placed', subject },
    { 'content-type': 'application/cloudevents+json' },
  );
const served = (operation: string) =>
  lines.filter((line) => line.event === 'request.served' && line.operation === operation);

const VISIBLE = 'tandem_event_visible_seconds_count{app="api",predictor="repurchase"}';
const storedLabels = async () =>
  (await api.pool.query('select user_id, context_version::int as version from tandem.overlay order by 1')).rows;

describe('the time until an event is visible', () => {
  it('is counted once for each context version, when the first prediction from it is stored', async () => {
    expect(await read('1')).toMatchObject({ source: 'live', reason: 'missing' });
    await expect.poll(storedLabels).toEqual([{ user_id: '1', version: 0 }]);
    expect(await sample(VISIBLE)).toBeUndefined();
    await send('1');
    expect(await read('1')).toMatchObject({ source: 'live', reason: 'context_newer' });
    await expect.poll(() => sample(VISIBLE)).toBe(1);
    await expect.poll(storedLabels).toEqual([{ user_id: '1', version: 1 }]);
    // A second inference from the same context is not counted. The read of another user shows when it was stored.
    expect(await read('1', { 'cache-control': 'no-cache' })).toMatchObject({ source: 'live', reason: 'requested' });
    await send('2');
    await read('2');
    await expect.poll(() => sample(VISIBLE)).toBe(2);
    await expect.poll(storedLabels).toHaveLength(2);
    await send('1');
    await read('1');
    await expect.poll(() => sample(VISIBLE)).toBe(3);
  });
});

describe('metrics', () => {
  it('cover certificates, durable events, and their hints', async () => {
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
    // A hint counts after the answer to its event. On a busy machine it may fail, which is another outcome.
    const counts = async () => [
      sum(await samples('tandem_event_accept_seconds_count{app="api",outcome="ok"}')),
      sum(await samples('tandem_event_hint_seconds_count{app="api",outcome=')),
    ];
    const before = await counts();
    await send('3');
    await read('3');
    expect(await sample('tandem_authority_users_count')).toBeGreaterThan(0);
    await expect.poll(counts).toEqual(before.map((count) => count + 1));
    expect(await sample('tandem_online_store_up')).toBe(1);
    // Work in the background may use the connections at the moment.
    await expect.poll(() => sample('tandem_postgres_connections{pool="api",state="idle"')).toBeGreaterThan(0);
    await expect.poll(() => sample('tandem_postgres_waiting{pool="api"')).toBe(0);
  });

  it('count rejections by route and code', async () => {
    await read('nobody');
    const series = 'tandem_http_problems_total{route="readPrediction",status="422",code="invalid_input"';
    expect(await sample(series)).toBe(1);
  });

  it('count a change of the history, and the log names the old and the new history', async () => {
    await read('4');
    expect(await sample('tandem_history_changes_total')).toBe(0);
    await api.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    await read('4');
    expect(await sample('tandem_history_changes_total')).toBe(1);
    expect(await sample('tandem_log_warnings_total{level="warn",event="history.changed"')).toBe(1);
    const [line] = lines.filter(({ event }) => event === 'history.changed');
    expect(line?.from).toMatch(/^[0-9a-f]{16}$/);
    expect(line?.to).not.toBe(line?.from);
  });
});

describe('the event of a request', () => {
  it('counts the answers of a read of many users by source and reason', async () => {
    const userIds = ['6', '7', '99', 'nobody'];
    expect((await api.post('/v1/predictions/repurchase', { userIds })).status).toBe(200);
    expect(served('readPredictions')).toMatchObject([
      {
        users: 4,
        refused: 1,
        answers: { 'live missing': 2, 'error unknown_user': 1, 'error invalid_input': 1 },
        liveMs: expect.any(Number),
      },
    ]);
  });

  it('counts events by result', async () => {
    await send('8');
    expect(served('sendEvents')).toMatchObject([{ status: 202, events: 1, outcomes: { accepted: 1 } }]);
  });

  it('says why live inference failed for users who get a stale answer', async () => {
    await read('9');
    await send('9');
    await api.pool.query('alter table customers rename to customers_away');
    expect(await read('9')).toMatchObject({ source: 'stale', reason: 'live_failed' });
    await api.post('/v1/predictions/repurchase', { userIds: ['9'] });
    await api.pool.query('alter table customers_away rename to customers');
    const detail = expect.stringContaining('relation "customers" does not exist');
    const liveFailures = [{ userId: '9', reason: 'live_failed', detail }];
    expect(served('readPrediction').at(-1)).toMatchObject({ source: 'stale', liveFailures });
    expect(served('readPredictions').at(-1)).toMatchObject({ answers: { 'stale live_failed': 1 }, liveFailures });
  });

  // This must be the last test: afterwards the API has no Postgres.
  it('gives the time that a read spent in each part', async () => {
    await read('5');
    expect(served('readPrediction')).toMatchObject([
      { status: 200, source: 'live', reason: 'missing', certifyMs: expect.any(Number), liveMs: expect.any(Number) },
    ]);
    await api.postgres.cut();
    await read('5');
    expect(served('readPrediction').at(-1)).toMatchObject({ certifyMs: expect.any(Number) });
  });
});
