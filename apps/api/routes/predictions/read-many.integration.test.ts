import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, scoreOf, type TestApi } from '../../api.fixture.ts';

const path = '/v1/predictions/repurchase';
let api: TestApi;

beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const ids = (count: number) => Array.from({ length: count }, (_, i) => String(i + 1));

describe('POST /v1/predictions/{predictor}', () => {
  it('returns an answer or an error for every id in order, and one for each duplicate', async () => {
    const response = await api.post(path, { userIds: ['3', '999', '3', '042', '1'] });
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('private, no-cache');
    const { results } = (await response.json()) as { results: unknown[] };
    expect(results).toMatchObject([
      { userId: '3', prediction: { score: expect.closeTo(scoreOf(30, 3), 5) }, source: 'live' },
      { userId: '999', error: { type: 'urn:tandem:problem:unknown_user', status: 404, field: 'userIds[1]' } },
      { userId: '3', prediction: { score: expect.closeTo(scoreOf(30, 3), 5) } },
      { userId: '042', error: { status: 422, field: 'userIds[3]', remedy: 'send "42"' } },
      { userId: '1', prediction: { score: expect.closeTo(scoreOf(10, 1), 5) } },
    ]);
  });

  it('accepts 1,000 ids, and rejects 1,001 with the limit', async () => {
    const most = await api.post(path, { userIds: ids(1_000) });
    expect(((await most.json()) as { results: unknown[] }).results).toHaveLength(1_000);
    const tooMany = await api.post(path, { userIds: ids(1_001) });
    expect(tooMany.status).toBe(422);
    expect(await tooMany.json()).toMatchObject({
      field: 'userIds',
      detail: expect.stringContaining('at most 1000'),
      remedy: 'give at most 1000',
    });
  });

  it.each([
    [{ userIds: [1] }, { userIds: ['42', '43'] }],
    [{ users: [{ userId: '1' }] }, { users: [{ userId: '42', features: { amount: 129.9 } }] }],
  ])('rejects %j with an example of the same kind, whose ids are valid', async (body, example) => {
    const problem = (await (await api.post(path, body)).json()) as { remedy: string };
    expect(problem.remedy).toBe(`send a JSON object with userIds, users, such as ${JSON.stringify(example)}`);
  });

  it('honours the directives of the request for each user', async () => {
    const response = await api.post(path, { userIds: ['8', '9'] }, { 'cache-control': 'no-cache' });
    expect(((await response.json()) as { results: unknown[] }).results).toMatchObject([
      { userId: '8', source: 'live', reason: 'requested' },
      { userId: '9', source: 'live', reason: 'requested' },
    ]);
  });

  it.each<[unknown, Record<string, string>, number, string | undefined]>([
    [{ userIds: [] }, {}, 422, 'userIds'],
    [{ userIds: '1' }, {}, 422, 'userIds'],
    [{ userIds: [1] }, {}, 422, 'userIds[0]'],
    [{ userIds: ['1'], tenant: 'x' }, {}, 422, 'tenant'],
    [{}, {}, 422, 'userIds'],
    ['["1"]', {}, 422, undefined],
    ['', {}, 400, undefined],
    ['{"userIds":["1"],"userIds":["2"]}', {}, 422, 'userIds'],
    ['{"userIds":["\\u0000"]}', {}, 422, 'userIds[0]'],
    [{ userIds: ['1'] }, { 'content-encoding': 'gzip' }, 415, 'Content-Encoding'],
    [{ userIds: ['1'] }, { 'prediction-min-context': `${'0'.repeat(16)}.1` }, 400, 'Prediction-Min-Context'],
    [{ userIds: ['1'] }, { 'cache-control': 'max-age=soon' }, 400, 'Cache-Control'],
    [`"${'x'.repeat(1_100_000)}"`, {}, 413, undefined],
  ])('case %#: rejects a request with $2 at $3', async (body, headers, status, field) => {
    const response = await api.post(path, body, headers);
    expect(response.status).toBe(status);
    const problem = (await response.json()) as { field?: string; remedy?: string };
    expect(problem.field).toBe(field);
    expect(problem.remedy).toEqual(expect.any(String));
  });
});
