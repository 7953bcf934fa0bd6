/** Tests of callers who close the connection during live inference. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestApi } from '../../api.fixture.ts';
import { createCheckoutApi } from '../../checkout.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createCheckoutApi({ freshness: { liveTimeoutMs: 20_000 } });
});
afterAll(() => api?.close());

const WAITING = "select count(*)::int as n from pg_locks where not granted and relation = 'customers'::regclass";

async function counted(series: RegExp): Promise<number> {
  return Number(series.exec(await (await api.get('/metrics')).text())?.[1] ?? 0);
}

it.each([
  ['/v1/predictions/checkout', { users: [{ userId: '3', features: { amount: 1 } }] }],
  ['/v1/rankings/checkout', { userId: '4', by: 'amount', candidates: [{ id: 'a', features: { amount: 1 } }] }],
])('POST %s ends as caller_gone after its caller has disconnected, and counts no failure', async (path, body) => {
  const gone = /tandem_live_inference_seconds_count\{[^}]*outcome="caller_gone"[^}]*\} (\d+)/;
  const before = await counted(gone);
  const blocker = await api.pool.connect();
  try {
    await blocker.query('begin; lock table customers in access exclusive mode');
    const leaving = new AbortController();
    const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const reading = api.app.request(path, { ...request, signal: leaving.signal });
    await expect.poll(async () => (await blocker.query(WAITING)).rows[0].n).toBeGreaterThan(0);
    leaving.abort();
    const response = await reading;
    expect(await response.json()).toMatchObject({ type: 'urn:tandem:problem:caller_gone', status: 408 });
  } finally {
    await blocker.query('rollback');
    blocker.release();
  }
  expect(await counted(gone)).toBe(before + 1);
  expect(await counted(/tandem_prediction_errors_total\{[^}]*\} (\d+)/)).toBe(0);
});
