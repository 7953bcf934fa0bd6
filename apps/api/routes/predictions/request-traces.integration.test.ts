/**
 * Tests of kept explanations of requests with request features, which can be replayed, and are erased with their user.
 */
import type { KeptExplanation, KeptPage, Replay } from '@tandem/client/explanations';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { TestApi } from '../../api.fixture.ts';
import { createCheckoutApi } from '../../checkout.fixture.ts';

vi.setConfig({ testTimeout: 120_000 });
const PATIENCE = { timeout: 30_000, interval: 100 };

let api: TestApi;
beforeAll(async () => {
  api = await createCheckoutApi({ explanations: { share: 1, keepForMs: 3_600_000 } });
});
afterAll(() => api?.close());

const kept = async (userId: string) =>
  ((await (await api.get(`/v1/explanations?userId=${userId}`)).json()) as KeptPage).explanations;

async function keptOf(userId: string, count = 1): Promise<KeptExplanation> {
  await expect.poll(async () => (await kept(userId)).length, PATIENCE).toBe(count);
  return (await kept(userId))[0] as KeptExplanation;
}

const replay = async (id: string) => (await (await api.post(`/v1/explanations/${id}/replay`)).json()) as Replay;

it('keeps the sent values and the used defaults, replays them, and erases them', async () => {
  const body = { users: [{ userId: '3', features: { amount: 12.5 } }] };
  expect((await api.post('/v1/predictions/checkout', body)).status).toBe(200);
  const explanation = await keptOf('3');
  expect(explanation.inputs).toMatchObject({ read: 'for_the_answer', ofSameContext: true });
  expect(explanation.inputs?.features).toEqual([
    { name: 'orders', value: 3, from: 'row' },
    { name: 'amount', value: 12.5, from: 'request' },
    { name: 'channel', value: 'web', from: 'default' },
  ]);
  expect(await replay(explanation.id)).toMatchObject({
    verdict: 'agrees',
    recomputed: { orders: 3, amount: 12.5, channel: 0 },
  });
  expect((await api.app.request('/v1/users/3', { method: 'DELETE' })).status).toBe(200);
  expect(await kept('3')).toEqual([]);
});

it('marks the defaults of a read without features, and of a current explanation', async () => {
  expect((await api.get('/v1/predictions/checkout/4')).status).toBe(200);
  const features = (await keptOf('4')).inputs?.features;
  expect(features?.map(({ name, from }) => [name, from])).toEqual([
    ['orders', 'row'],
    ['amount', 'default'],
    ['channel', 'default'],
  ]);
  const explained = await (await api.get('/v1/users/4/explanations/checkout')).json();
  expect(explained).toMatchObject({ features: [{ from: 'row' }, { value: 40, from: 'default' }, { from: 'default' }] });
});

it('keeps no explanation of a ranking', async () => {
  const candidates = [{ id: 'a', features: { amount: 1 } }];
  expect((await api.post('/v1/rankings/checkout', { userId: '5', by: 'amount', candidates })).status).toBe(200);
  // Explanations are written in order.
  expect((await api.get('/v1/predictions/checkout/6')).status).toBe(200);
  await keptOf('6');
  expect(await kept('5')).toEqual([]);
});
