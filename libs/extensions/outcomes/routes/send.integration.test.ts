import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../../../apps/api/api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const outcome = (changes: object = {}) => ({ id: crypto.randomUUID(), userId: '1', name: 'order', ...changes });
const send = (body: unknown) => api.post('/v1/outcomes', body);
const resultsOf = async (response: Response) =>
  ((await response.json()) as { results: Record<string, unknown>[] }).results;
const stored = async () => Number((await api.pool.query('select count(*) from tandem.outcomes')).rows[0]?.count);

describe('POST /v1/outcomes', () => {
  it('accepts outcomes in order, even of unknown users; repeated outcomes are duplicates', async () => {
    const [one, two] = [outcome({ source: '/shop', value: 2.5 }), outcome({ userId: '999999' })];
    const response = await send({ outcomes: [one, two] });
    expect(response.status).toBe(202);
    expect(await resultsOf(response)).toEqual([
      { id: one.id, source: '/shop', userId: '1', status: 'accepted' },
      { id: two.id, source: 'api', userId: '999999', status: 'accepted' },
    ]);
    expect((await resultsOf(await send({ outcomes: [two, one, two] }))).map(({ status }) => status)).toEqual(
      Array.from({ length: 3 }, () => 'duplicate'),
    );
  });

  it('accepts a single outcome and an empty list', async () => {
    expect(await resultsOf(await send(outcome()))).toMatchObject([{ status: 'accepted' }]);
    expect(await resultsOf(await send({ outcomes: [] }))).toEqual([]);
  });

  it('stores no outcome of an erased user, and says so', async () => {
    await api.pool.query(`insert into tandem.user_contexts (user_id, version, deleted_version) values ('5', 1, 1)`);
    expect(await resultsOf(await send(outcome({ id: 'erased', userId: '5' })))).toMatchObject([{ status: 'erased' }]);
    const { rows } = await api.pool.query(`select user_id, name, value from tandem.outcomes where id = 'erased'`);
    expect(rows).toEqual([{ user_id: null, name: null, value: null }]);
  });

  it.each<[string, object, number, string]>([
    ['a wrong name', { name: 'a b' }, 422, 'name'],
    ['another spelling of the user', { userId: '01' }, 422, 'userId'],
    ['a time far ahead', { time: '2099-01-01T00:00:00Z' }, 422, 'time'],
    ['a time long ago', { time: '2001-01-01T00:00:00Z' }, 422, 'time'],
    ['an id of an earlier outcome', { id: 'taken', value: 7 }, 409, 'id'],
  ])('stores no outcome of a request with %s, and names the field', async (_, change, status, field) => {
    await send(outcome({ id: 'taken' }));
    const before = await stored();
    const response = await send({ outcomes: [outcome(), outcome(change)] });
    expect([response.status, await response.json()]).toMatchObject([
      status,
      { field: `outcomes[1].${field}`, remedy: expect.any(String) },
    ]);
    const alone = await send(outcome(change));
    expect([alone.status, await alone.json()]).toMatchObject([status, { field }]);
    expect(await stored()).toBe(before);
  });

  it.each<[string, unknown, number]>([
    ['1,001 outcomes', { outcomes: Array.from({ length: 1_001 }, () => outcome()) }, 422],
    ['no array', { outcomes: outcome() }, 422],
    ['an unknown field', { outcomes: [], more: 1 }, 422],
    ['an array alone', [outcome()], 422],
    ['only unknown fields', {}, 422],
    [
      'a value that JSON.stringify wrote for NaN',
      JSON.stringify({ id: 'a', userId: '1', name: 'order', value: Number.NaN }),
      422,
    ],
    ['an infinite value', '{"id":"a","userId":"1","name":"order","value":1e400}', 422],
  ])('refuses %s', async (_, body, status) => {
    const before = await stored();
    expect((await send(body)).status).toBe(status);
    expect((await api.post('/v1/outcomes', outcome(), { 'content-type': 'text/plain' })).status).toBe(415);
    expect(await stored()).toBe(before);
  });

  it('counts outcomes by result', async () => {
    const text = await (await api.get('/metrics')).text();
    for (const kind of ['accepted', 'duplicate', 'erased', 'refused']) {
      expect(text).toMatch(new RegExp(`^tandem_outcomes_total\\{.*outcome="${kind}".*\\} [1-9]`, 'm'));
    }
  });
});
