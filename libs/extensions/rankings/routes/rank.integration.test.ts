import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../../../apps/api/api.fixture.ts';
import { createCheckoutApi } from '../../../../apps/api/checkout.fixture.ts';

const path = '/v1/rankings/checkout';
let api: TestApi;

beforeAll(async () => {
  // The timeout is long enough that load shedding does not interfere.
  api = await createCheckoutApi({ freshness: { liveTimeoutMs: 20_000 } });
});
afterAll(() => api?.close());

const candidate = (id: string, amount: number, more: Record<string, unknown> = {}) => ({
  id,
  features: { amount, ...more },
});
const CANDIDATES = [candidate('a', 5), candidate('b', 20, { channel: 'app' }), candidate('c', 5), candidate('d', 7)];

async function ranking(body: unknown, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const response = await api.post(path, body, headers);
  expect(response.status).toBe(200);
  expect(response.headers.get('cache-control')).toBe('no-store');
  return (await response.json()) as Record<string, unknown>;
}

describe('POST /v1/rankings/{predictor}', () => {
  it('ranks the candidates by an output from one context, and keeps the order of the request for equal values', async () => {
    const itemsAsOf = '2026-11-24T10:50:00+01:00';
    expect(await ranking({ userId: '3', by: 'amount', itemsAsOf, candidates: CANDIDATES })).toEqual({
      ...{ predictor: 'checkout', userId: '3', by: 'amount' },
      ranked: [
        { id: 'b', score: 20, prediction: { orders: 3, amount: 20, channel: 1 } },
        { id: 'd', score: 7, prediction: { orders: 3, amount: 7, channel: 0 } },
        { id: 'a', score: 5, prediction: { orders: 3, amount: 5, channel: 0 } },
        { id: 'c', score: 5, prediction: { orders: 3, amount: 5, channel: 0 } },
      ],
      refused: [],
      ...{ source: 'live', reason: 'requested', modelVersion: expect.any(String), variant: 'stable' },
      computedAt: expect.any(String),
      ...{ contextVersion: 0, lastConcerningVersion: 0, predictedFromContextVersion: 0, itemsAsOf },
    });
  });

  it('accepts hundreds of candidates, and returns at most `limit`', async () => {
    const candidates = Array.from({ length: 250 }, (_, i) => candidate(`sku-${i}`, i));
    const { ranked, itemsAsOf } = await ranking({ userId: '1', by: 'amount', limit: 3, candidates });
    expect(ranked).toMatchObject([{ id: 'sku-249' }, { id: 'sku-248' }, { id: 'sku-247' }]);
    expect(itemsAsOf).toBeNull();
  });

  it('certifies against the context of a token', async () => {
    const event = { specversion: '1.0', id: 'r1', source: '/test', type: 'order.placed', subject: '4' };
    const sent = await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
    const { results } = (await sent.json()) as { results: { contextToken: string }[] };
    const headers = { 'prediction-min-context': results[0]?.contextToken ?? '' };
    expect(await ranking({ userId: '4', by: 'amount', candidates: CANDIDATES }, headers)).toMatchObject({
      ...{ contextVersion: 1, predictedFromContextVersion: 1 },
    });
    const later = { 'prediction-min-context': headers['prediction-min-context'].replace(/1$/, '9') };
    expect((await api.post(path, { userId: '4', by: 'amount', candidates: CANDIDATES }, later)).status).toBe(412);
  });

  it.each<[unknown, number, string | undefined]>([
    [{ userId: '03', candidates: CANDIDATES }, 422, 'userId'],
    [{ userId: '999', by: 'amount', candidates: CANDIDATES }, 404, 'userId'],
    [{ userId: '3', candidates: CANDIDATES }, 422, 'by'],
    [{ userId: '3', by: 'profit', candidates: CANDIDATES }, 422, 'by'],
    [{ userId: '3', candidates: [] }, 422, 'candidates'],
    [{ userId: '3', by: 'amount', candidates: [...CANDIDATES, candidate('b', 1)] }, 422, 'candidates[4].id'],
    [{ userId: '3', by: 'amount', candidates: [candidate('', 1)] }, 422, 'candidates[0].id'],
    [
      { userId: '3', by: 'amount', candidates: [candidate('a', 1), candidate('b', -1)] },
      422,
      'candidates[1].features.amount',
    ],
    [{ userId: '3', by: 'amount', limit: 0, candidates: CANDIDATES }, 422, 'limit'],
    [{ userId: '3', by: 'amount', itemsAsOf: 'yesterday', candidates: CANDIDATES }, 422, 'itemsAsOf'],
    [{ userId: '3', candidates: Array.from({ length: 501 }, (_, i) => candidate(`${i}`, 1)) }, 422, 'candidates'],
  ])('case %#: rejects a body with $1 at $2', async (body, status, field) => {
    const response = await api.post(path, body);
    const problem = (await response.json()) as { field?: string; remedy?: string };
    expect([response.status, problem.field]).toEqual([status, field]);
    expect(problem.remedy).toEqual(expect.any(String));
  });

  it('is 422 without Retry-After if the predictor has no live inference', async () => {
    const idle = await createTestApi({ live: false });
    try {
      const candidates = [{ id: 'a', features: {} }];
      const response = await idle.post('/v1/rankings/repurchase', { userId: '3', candidates });
      expect([response.status, response.headers.get('retry-after')]).toEqual([422, null]);
      expect(await response.json()).toMatchObject({
        ...{ type: 'urn:tandem:problem:invalid_input', field: 'predictor' },
        remedy: expect.stringContaining('set freshness.live of repurchase to true'),
      });
    } finally {
      await idle.close();
    }
  });

  it('is 504 with only-if-cached, because stored predictions cannot rank', async () => {
    const body = { userId: '3', by: 'amount', candidates: CANDIDATES };
    const response = await api.post(path, body, { 'cache-control': 'only-if-cached' });
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ remedy: 'leave out Cache-Control: only-if-cached' });
  });
});
