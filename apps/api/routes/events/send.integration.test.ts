import { BATCHED, STRUCTURED } from '@tandem/wire/events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const eventOf = (changes: object = {}) => ({
  specversion: '1.0',
  id: crypto.randomUUID(),
  source: '/test',
  type: 'order.placed',
  subject: '1',
  ...changes,
});
const send = (body: unknown, type = STRUCTURED, headers = {}, path = '/v1/events') =>
  api.post(path, body, { 'content-type': type, ...headers });
const resultsOf = async (response: Response) =>
  ((await response.json()) as { results: Record<string, unknown>[] }).results;
const ignoredSoFar = async () => {
  const found = /^tandem_events_with_ignored_values_total\{.*\} (\d+)$/m.exec(await (await api.get('/metrics')).text());
  return Number(found?.[1]);
};
const eventsStored = async () => Number((await api.pool.query('select count(*) from tandem.event_ids')).rows[0]?.count);

describe('POST /v1/events', () => {
  it('acknowledges a structured event with its context version and context token', async () => {
    const event = eventOf({ subject: '2', data: { orders: 3 } });
    const response = await send(event);
    expect(response.status).toBe(202);
    expect(await resultsOf(response)).toEqual([
      {
        id: event.id,
        source: '/test',
        status: 'accepted',
        userId: '2',
        contextVersion: 1,
        contextToken: expect.stringMatching(/^[0-9a-f]{16}\.1$/),
      },
    ]);
    const [again] = await resultsOf(await send(event));
    expect(again).toMatchObject({ status: 'duplicate', contextVersion: 1 });
  });

  it('names values that no predictor takes in the result of the event, and counts such events', async () => {
    const before = await ignoredSoFar();
    const batch = [
      eventOf({ subject: '8', data: { orders: 2, nmae: 1 } }),
      eventOf({ subject: '8', data: { orders: 3 } }),
    ];
    const results = await resultsOf(await send(batch, BATCHED));
    expect(results.map(({ status, ignored }) => [status, ignored])).toEqual([
      ['accepted', ['nmae']],
      ['accepted', undefined],
    ]);
    await send(batch, BATCHED);
    expect((await ignoredSoFar()) - before).toBe(1);
  });

  it('accepts the binary mode, with and without data', async () => {
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': 'b%20%C3%BC',
      'ce-source': '/bin',
      'ce-type': 'order.paid',
      'ce-subject': '3',
      'ce-traceparent': '00-x',
    };
    const [first] = await resultsOf(await send({ orders: 9 }, 'application/json', headers));
    expect(first).toMatchObject({ id: 'b ü', source: '/bin', userId: '3', contextVersion: 1 });
    const [second] = await resultsOf(await api.post('/v1/events', undefined, { ...headers, 'ce-id': 'b2' }));
    expect(second).toMatchObject({ id: 'b2', contextVersion: 2 });
  });

  it.each([
    ['/v1/events', ['4', '5']],
    ['/v1/events/batch', ['14', '15']],
  ])('accepts a batch at %s in order, even an empty one', async (path, [first, second]) => {
    const batch = [first, second, first].map((subject) => eventOf({ subject }));
    expect(await resultsOf(await send(batch, BATCHED, {}, path))).toMatchObject([
      { userId: first, contextVersion: 1 },
      { userId: second, contextVersion: 1 },
      { userId: first, contextVersion: 2 },
    ]);
    expect(await resultsOf(await send([], BATCHED, {}, path))).toEqual([]);
  });

  it('accepts only batches at /v1/events/batch', async () => {
    const single = await send(eventOf(), STRUCTURED, {}, '/v1/events/batch');
    expect(single.status).toBe(415);
    expect(await single.json()).toMatchObject({ remedy: expect.stringContaining(BATCHED) });
    expect((await api.post('/v1/events/batch')).status).toBe(415);
  });

  it.each<[string, object, string]>([
    ['a wrong attribute', { type: '' }, '[1].type'],
    ['a source of blanks', { source: '  ' }, '[1].source'],
    ['another spelling of the user', { subject: '01' }, '[1].subject'],
    ['a wrong type of a feature', { data: { orders: 'three' } }, '[1].data.orders'],
    ['a time far ahead', { time: '2099-01-01T00:00:00Z' }, '[1].time'],
  ])('applies no event of a batch with %s, and names its index', async (_, change, field) => {
    const before = await eventsStored();
    const response = await send([eventOf(), eventOf(change), eventOf()], BATCHED);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      type: 'urn:tandem:problem:invalid_input',
      field,
      remedy: expect.any(String),
    });
    expect(await eventsStored()).toBe(before);
  });

  it('names the field of a single event without an index', async () => {
    expect(await (await send(eventOf({ data: { orders: 'x' } }))).json()).toMatchObject({ field: 'data.orders' });
    expect(await (await send(eventOf({ subject: ' 1' }))).json()).toMatchObject({
      field: 'subject',
      remedy: 'send "1"',
    });
  });

  it('rejects an id that was sent before with other content, and changes nothing', async () => {
    const event = eventOf({ subject: '6' });
    await send(event);
    const response = await send({ ...event, data: { orders: 1 } });
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({ type: 'urn:tandem:problem:event_conflict', field: 'id' });
  });

  it('rejects 1,001 events, and values that are not events', async () => {
    const many = await send(
      Array.from({ length: 1_001 }, () => eventOf()),
      BATCHED,
    );
    expect([many.status, await many.json()]).toMatchObject([422, { detail: expect.stringContaining('limit of 1000') }]);
    expect((await send(eventOf(), BATCHED)).status).toBe(422);
    expect((await send([eventOf()])).status).toBe(422);
    expect((await send({ orders: 1 }, 'application/json')).status).toBe(422);
    expect((await send('x', 'text/plain')).status).toBe(415);
    expect((await send(eventOf(), `${STRUCTURED}; charset=utf-16`)).status).toBe(415);
    expect((await send('{"id":1e400}')).status).toBe(422);
    expect((await api.post('/v1/events')).status).toBe(422);
  });

  it('applies one of many equal concurrent requests, and answers the others as duplicates', async () => {
    const event = eventOf({ subject: '7' });
    // An event that waits a second for the others is rejected with a retry hint, and the test retries it.
    const sendUntilTaken = async () => {
      for (;;) {
        const response = await send(event);
        if (response.status !== 503) return resultsOf(response);
      }
    };
    const all = await Promise.all(Array.from({ length: 50 }, sendUntilTaken));
    const statuses = all.map(([result]) => result?.status);
    expect(statuses.filter((status) => status === 'accepted')).toHaveLength(1);
    expect(new Set(all.map(([result]) => result?.contextVersion))).toEqual(new Set([1]));
  });
});
