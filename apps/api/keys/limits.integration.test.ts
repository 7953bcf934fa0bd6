/**
 * Tests of the limits of a key. Each limit is one request in 1,000 s, so that a used limit stays used during a test.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer, createKeyedApi, type KeyedApi } from './keyed-api.fixture.ts';

const ONE = 0.001;
const READ = '/v1/predictions/repurchase';

let api: KeyedApi;
let strict: KeyedApi;
beforeAll(async () => {
  api = await createKeyedApi();
  strict = await createKeyedApi({ onLiveFailure: 'error' });
});
afterAll(async () => {
  await api?.close();
  await strict?.close();
});

describe('a limit of requests', () => {
  it('is answered with 429 and Retry-After, whatever address the headers of the request name', async () => {
    const { key } = await api.key({ requestsPerSecond: ONE });
    expect((await api.get(`${READ}/1`, bearer(key))).status).toBe(200);
    for (const address of ['10.0.0.1', '10.0.0.2']) {
      const refused = await api.get(`${READ}/1`, {
        ...bearer(key),
        'x-forwarded-for': address,
        forwarded: `for=${address}`,
      });
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(900);
      expect(await refused.json()).toMatchObject({
        type: 'urn:tandem:problem:rate_limited',
        detail: expect.stringContaining(`${ONE} requests a second`),
      });
    }
  });

  it('applies to each key separately, and counts requests rejected for a missing scope', async () => {
    const [one, other] = [await api.key({ requestsPerSecond: ONE }), await api.key({ requestsPerSecond: ONE })];
    expect((await api.get('/v1/runs', bearer(one.key))).status).toBe(403);
    expect((await api.get('/v1/runs', bearer(one.key))).status).toBe(429);
    expect((await api.get(`${READ}/1`, bearer(one.key))).status).toBe(429);
    expect((await api.get(`${READ}/1`, bearer(other.key))).status).toBe(200);
  });
});

describe('a quota of new users', () => {
  const sendWith =
    (key: string) =>
    (...userIds: string[]) => {
      const events = userIds.map((subject) => ({
        ...{ specversion: '1.0', id: `${subject} ${Math.random()}`, source: 's', type: 'order.placed', subject },
      }));
      const type = { 'content-type': 'application/cloudevents-batch+json' };
      return api.post('/v1/events', events, { ...type, ...bearer(key) });
    };

  it('is answered with 429, Retry-After and a remedy, and known users are not limited', async () => {
    const { key } = await api.key({ scopes: ['events:write'], newUsersPerDay: 2 });
    const send = sendWith(key);
    expect((await send('901', '902', '902')).status).toBe(202);
    const refused = await send('901', '903');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(43_000);
    expect(await refused.json()).toMatchObject({
      type: 'urn:tandem:problem:rate_limited',
      detail: expect.stringContaining('2 new users a day'),
    });
    expect((await send('901', '902')).status).toBe(202);
  });

  it('that one request exceeds alone is answered with 429 without Retry-After, which names the limit', async () => {
    const { key, id } = await api.key({ scopes: ['events:write'], newUsersPerDay: 2 });
    const refused = await sendWith(key)('911', '912', '913');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, null]);
    expect(await refused.json()).toMatchObject({
      type: 'urn:tandem:problem:rate_limited',
      detail: 'The events make 3 users known, but the API key may make 2 known a day.',
      remedy: `send events of fewer new users in a request; or raise the quota: tandem key limit ${id} --new-users …`,
    });
  });

  it('that another transaction holds is answered with 503 and Retry-After, and no event is applied', async () => {
    const { key, id } = await api.key({ scopes: ['events:write'], newUsersPerDay: 9 });
    const send = sendWith(key);
    expect((await send('921')).status).toBe(202);
    const client = await api.pool.connect();
    await client.query('begin');
    await client.query('select from tandem.new_users_of_keys where key_id = $1 for update', [id]);
    const refused = await send('921', '922').finally(async () => {
      await client.query('rollback');
      client.release();
    });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({
      type: 'urn:tandem:problem:unavailable',
      detail: 'Other transactions hold users of these events, or the quota of the API key, for too long.',
      remedy: 'retry after the time in Retry-After; none of these events was applied',
    });
    const applied = `select user_id, version::int from tandem.user_contexts where user_id in ('921', '922')`;
    expect((await api.pool.query(applied)).rows).toEqual([{ user_id: '921', version: 1 }]);
    expect((await send('921', '922')).status).toBe(202);
  });
});

describe('a limit of live inferences', () => {
  it('lets the next rung answer, and says why', async () => {
    const writer = await api.key({ scopes: ['events:write'] });
    const { key } = await api.key({ livePerSecond: ONE });
    const read = async (userId: string, headers = {}) =>
      (await api.get(`${READ}/${userId}`, { ...bearer(key), ...headers })).json();
    expect(await read('5')).toMatchObject({ source: 'live', reason: 'missing' });
    // A stored prediction needs no inference.
    expect(await read('5')).toMatchObject({ source: 'live', reason: 'fresh' });
    const event = { specversion: '1.0', id: 'limit', source: 's', type: 'order.placed', subject: '5' };
    const type = { 'content-type': 'application/cloudevents+json' };
    expect((await api.post('/v1/events', event, { ...type, ...bearer(writer.key) })).status).toBe(202);
    expect(await read('5')).toMatchObject({ source: 'stale', reason: 'overloaded', contextVersion: 1 });
    expect(await read('5', { 'cache-control': 'no-cache' })).toMatchObject({ source: 'stale', reason: 'overloaded' });
    expect(await read('6')).toMatchObject({ source: 'default', reason: 'overloaded' });
    const unlimited = await api.key();
    expect(await (await api.get(`${READ}/5`, bearer(unlimited.key))).json()).toMatchObject({
      source: 'live',
      reason: 'context_newer',
    });
  });

  it('counts each user of a request of many', async () => {
    const { key } = await api.key({ livePerSecond: 2 * ONE });
    const response = await api.post(READ, { userIds: ['7', '8', '9'] }, bearer(key));
    const { results } = (await response.json()) as { results: { source: string; reason: string }[] };
    expect(results.map(({ source, reason }) => `${source} ${reason}`).sort()).toEqual([
      'default overloaded',
      'default overloaded',
      'live missing',
    ]);
  });

  it('is not used by a ranking that is rejected for its field `by`', async () => {
    const { key } = await api.key({ livePerSecond: ONE });
    const asked = { userId: '1', by: 'profit', candidates: [{ id: 'a', features: {} }] };
    const refused = await api.post('/v1/rankings/repurchase', asked, bearer(key));
    expect([refused.status, await refused.json()]).toMatchObject([422, { field: 'by' }]);
    const ranked = await api.post('/v1/rankings/repurchase', { ...asked, by: 'score' }, bearer(key));
    expect(ranked.status).toBe(200);
  });

  it('is 429 only if nothing may be served instead', async () => {
    const { key } = await strict.key({ livePerSecond: ONE });
    expect((await strict.get(`${READ}/1`, bearer(key))).status).toBe(200);
    const refused = await strict.get(`${READ}/2`, bearer(key));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({ type: 'urn:tandem:problem:rate_limited' });
    expect((await strict.get(`${READ}/1`, bearer(key))).status).toBe(200);
  });
});
