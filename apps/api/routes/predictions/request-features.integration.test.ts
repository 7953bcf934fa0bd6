import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../../api.fixture.ts';
import { adoptCheckout, CHECKOUT_REQUEST, createCheckoutApi } from '../../checkout.fixture.ts';

const path = '/v1/predictions/checkout';
let api: TestApi;

beforeAll(async () => {
  api = await createCheckoutApi();
});
afterAll(() => api?.close());

const user = (userId: string, features: Record<string, unknown> = {}) => ({ userId, features });
async function resultsOf(users: unknown, headers: Record<string, string> = {}): Promise<unknown[]> {
  const response = await api.post(path, { users }, headers);
  expect(response.status).toBe(200);
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(response.headers.get('etag')).toBeNull();
  return ((await response.json()) as { results: unknown[] }).results;
}

describe('POST /v1/predictions/{predictor} with users', () => {
  it('answers each user with the sent values or with an error, in order', async () => {
    const users = [
      user('3', { amount: 12.5, channel: 'store' }),
      user('04'),
      user('999', { amount: 1 }),
      user('3', { amount: 99 }),
      user('1'),
    ];
    expect(await resultsOf(users)).toMatchObject([
      {
        ...{ userId: '3', source: 'live', reason: 'requested', generation: null, contextVersion: 0 },
        prediction: { orders: 3, amount: 12.5, channel: 2 },
      },
      { userId: '04', error: { status: 422, field: 'users[1]', remedy: 'send "4"' } },
      { userId: '999', error: { type: 'urn:tandem:problem:unknown_user', field: 'users[2]' } },
      { userId: '3', prediction: { orders: 3, amount: 99, channel: 0 } },
      { userId: '1', prediction: { orders: 1, amount: 40, channel: 0 } },
    ]);
  });

  it('neither uses nor stores a stored prediction', async () => {
    await resultsOf([user('5', { amount: 7 })]);
    const got = await api.get(`${path}/5`);
    expect(await got.json()).toMatchObject({ source: 'live', reason: 'missing', prediction: { amount: 40 } });
    const again = await api.get(`${path}/5`);
    expect(await again.json()).toMatchObject({ source: 'live', reason: 'fresh', prediction: { amount: 40 } });
    expect(again.headers.get('etag')).toEqual(expect.stringMatching(/^W\//));
  });

  it('ignores If-None-Match and max-stale, and answers only-if-cached with 504 for each user', async () => {
    const tag = (await api.get(`${path}/6`)).headers.get('etag') ?? '';
    expect(await resultsOf([user('6')], { 'if-none-match': tag, 'cache-control': 'max-stale' })).toMatchObject([
      { source: 'live', reason: 'requested' },
    ]);
    expect(await resultsOf([user('6')], { 'cache-control': 'only-if-cached' })).toMatchObject([
      { error: { status: 504, type: 'urn:tandem:problem:not_cached' } },
    ]);
  });

  it.each<[unknown, string]>([
    [{ users: [user('1'), user('2', { amuont: 1 })] }, 'users[1].features.amuont'],
    [{ users: [user('1', { amount: '12' })] }, 'users[0].features.amount'],
    [{ users: [user('1', { amount: 1_001 })] }, 'users[0].features.amount'],
    [{ users: [user('1', { channel: 'phone' })] }, 'users[0].features.channel'],
    [{ users: [user('1', { amount: null })] }, 'users[0].features.amount'],
    [{ users: [user('1', { amount: [1] })] }, 'users[0].features.amount'],
    [{ users: [user('01'), user('2', { amount: -1 })] }, 'users[1].features.amount'],
    [{ users: [{ userId: '1' }] }, 'users[0].features'],
    [{ users: [{ userId: '1', features: {}, tenant: 'x' }] }, 'users[0].tenant'],
    [{ users: [] }, 'users'],
    [{ users: [user('1')], userIds: ['1'] }, 'userIds'],
    [{ users: Array.from({ length: 1_001 }, () => user('1')) }, 'users'],
    [
      { users: [user('1', Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`f${i}`, 1])))] },
      'users[0].features',
    ],
  ])('case %#: rejects a body with 422 at $1', async (body, field) => {
    const response = await api.post(path, body);
    const problem = (await response.json()) as { field?: string; remedy?: string };
    expect([response.status, problem.field]).toEqual([422, field]);
    expect(problem.remedy).toEqual(expect.any(String));
  });

  it('rejects request features of a predictor that takes none', async () => {
    const response = await api.post('/v1/predictions/repurchase', { users: [user('1', { amount: 1 })] });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      field: 'users[0].features.amount',
      detail: expect.stringContaining('is no request feature of predictor repurchase'),
    });
  });

  it('counts its answers', async () => {
    const text = await (await api.get('/metrics')).text();
    const count = (labels: string) =>
      Number(new RegExp(`tandem_request_predictions_total\\{${labels}[^}]*\\} (\\d+)`).exec(text)?.[1]);
    expect(count('predictor="checkout",source="live",reason="requested"')).toBeGreaterThanOrEqual(5);
  });
});

it('if a request feature has no default, reads that do not send it get 422', async () => {
  const [amount, ...others] = CHECKOUT_REQUEST;
  const { default: _default, ...required } = amount as (typeof CHECKOUT_REQUEST)[number];
  await adoptCheckout(api, { request: [required, ...others] });
  const expected = { status: 422, type: 'urn:tandem:problem:request_features_required' };
  // The first read learns of the adopted version from its certificate.
  await api.get(`${path}/1`);
  const response = await api.get(`${path}/1`);
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ ...expected, detail: expect.stringContaining('amount') });
  const many = await api.post(path, { userIds: ['1'] });
  expect(await many.json()).toMatchObject({ results: [{ error: expected }] });
  const explained = await api.get('/v1/users/1/explanations/checkout');
  // Without a default, the feature has a value only in requests that send it.
  const features = [{ name: 'orders' }, { name: 'channel', value: 'web', from: 'default' }];
  expect(await explained.json()).toMatchObject({ answer: null, answerProblem: expected, features });
  const run = await api.post('/v1/runs', { predictor: 'checkout', scope: 'all' });
  expect(await run.json()).toMatchObject(expected);
  expect(await resultsOf([user('1', { amount: 3 })])).toMatchObject([{ prediction: { orders: 1, amount: 3 } }]);
  await adoptCheckout(api);
});
