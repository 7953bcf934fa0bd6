/**
 * A short story of the whole service on a database with other defaults. It returns the answers without the values that
 * vary by chance.
 */
import type { HostileDefaults } from '@tandem/offline-store/hostile-defaults.fixture';
import pg from 'pg';
import { vi } from 'vitest';
import { createTestApi, type TestApi, workOff } from './api.fixture.ts';

/** The answer of each step, by the step's name. */
export type Outcome = Readonly<Record<string, unknown>>;

/** Runs the story: adopts, runs, reads, sends events over HTTP and in SQL, reads live, lists everything and erases. */
export async function tellStory(defaults: HostileDefaults): Promise<Outcome> {
  const api = await createTestApi({}, undefined, undefined, undefined, { defaults });
  const outcome: Record<string, unknown> = {};
  const keep = async (step: string, answering: Promise<Response>) => {
    const response = await answering;
    outcome[step] = { status: response.status, body: withoutChance(await response.json()) };
  };
  try {
    await untilLoaded(api);
    const run = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
    const { id } = (await run.json()) as { id: string };
    outcome.started = run.status;
    await workOff(api, id);
    await keep('run', api.get(`/v1/runs/${id}`));
    await keep('batch', api.get('/v1/predictions/repurchase/3'));
    await keep('event', api.post('/v1/events', eventOf('4', { orders: 7 }), EVENT));
    await keep('again', api.post('/v1/events', eventOf('4', { orders: 7 }), EVENT));
    await keep('live', api.get('/v1/predictions/repurchase/4'));
    outcome.sql = await sendInSql(api.databaseUrl, { user_id: '5', data: '{"orders": 2}', source: 's' });
    await keep('live after SQL', api.get('/v1/predictions/repurchase/5'));
    outcome.refused = await sendInSql(api.databaseUrl, { user_id: '007' });
    outcome.old = await sendInSql(api.databaseUrl, { user_id: '6', time: '2001-02-03T04:05:06Z' });
    const sent = { id: 'o1', userId: '4', name: 'order', value: 0.1 + 0.2 };
    await keep('outcome', api.post('/v1/outcomes', { outcomes: [sent] }));
    await keep('outcome again', api.post('/v1/outcomes', { outcomes: [sent] }));
    await untilKept(api, ['4', '5']);
    for (const path of LISTS) await keep(path, api.get(path));
    await keep('erased', api.app.request('/v1/users/5', { method: 'DELETE' }) as Promise<Response>);
    await keep('gone', api.get('/v1/predictions/repurchase/5'));
    return outcome;
  } finally {
    await api.close();
  }
}

const EVENT = { 'content-type': 'application/cloudevents+json' };

const LISTS = [
  ...['/v1/runs', '/v1/predictors', '/v1/predictors/repurchase/generations', '/v1/models', '/v1/models/repurchase'],
  ...['/v1/models/repurchase/versions/1', '/v1/processes', '/v1/audit', '/v1/rollouts', '/v1/users/4'],
  '/v1/users/4/explanations/repurchase',
];

function eventOf(subject: string, data: object) {
  return { specversion: '1.0', id: `e${subject}`, source: '/test', type: 'order.placed', subject, data };
}

/** Waits until the API has loaded its model. The start of the API does not wait for the load. */
async function untilLoaded(api: TestApi): Promise<void> {
  await vi.waitUntil(async () => (await (await api.get('/v1/processes')).text()).includes('"state":"ready"'), {
    timeout: 60_000,
  });
}

/** Waits until the live answers of the users are stored, which happens after the reply. */
async function untilKept({ pool }: TestApi, userIds: readonly string[]): Promise<void> {
  const text = 'select from tandem.overlay where user_id = any($1)';
  const isKept = async () => (await pool.query(text, [userIds])).rowCount === userIds.length;
  await vi.waitUntil(isKept, { timeout: 60_000 });
}

/**
 * Sends an event in SQL as an application does: in a session with the database's defaults and a transaction that may
 * write. Returns the version, or the error of a rejected event.
 */
async function sendInSql(databaseUrl: string, event: Readonly<Record<string, string>>): Promise<unknown> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => {});
  await client.connect();
  const values = Object.values(event).map((value) => pg.escapeLiteral(value));
  const insert = `insert into tandem.events (${Object.keys(event).join(', ')}) values (${values.join(', ')})`;
  try {
    await client.query(`begin read write; ${insert}; commit`);
    const text = 'select version::int from tandem.user_contexts where user_id = $1';
    return (await client.query(text, [event.user_id])).rows;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return { code: error.code, message: error.message, hint: error.hint, detail: withoutChance(error.detail) };
  } finally {
    await client.end();
  }
}

/** Replaces ids, times and addresses with their kind. */
function withoutChance(value: unknown): unknown {
  const text = JSON.stringify(value ?? null)
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/\b[0-9a-f]{16}(?=[."]|$)/g, '<history>')
    .replaceAll(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"/g, '"<time>"')
    .replaceAll(/\bttl=\d+/g, 'ttl=<ttl>')
    .replaceAll(/"(ageSeconds|pid|host|port)":("[^"]*"|\d+)/g, '"$1":"<$1>"');
  return JSON.parse(text);
}
