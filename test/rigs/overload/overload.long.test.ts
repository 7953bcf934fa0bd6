/**
 * Tests overload briefly, with promises that hold even on a busy machine. `npm run test:overload` measures the figures.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDeployment, type Deployment } from '../../e2e/deployment.fixture.ts';
import { until } from '../../e2e/until.fixture.ts';
import { demandFrom } from './closed-loop.ts';
import { sendHerd } from './herd.ts';
import { heldOf } from './open-connections.ts';
import { runOpenLoop } from './open-loop.ts';
import { openSlowClients } from './slow-clients.ts';
import { adoptSlowPredictors, LENIENT, STRICT, slowDown } from './slow-predictors.ts';
import { tallyOf } from './tally.ts';

const SLOW = { users: 2_000, rowMs: 50, liveTimeoutMs: 1_000 };
/**
 * Ten times the capacity of one child on an idle core. It is low enough for a busy machine to reject requests in time.
 */
const RATE = 200;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await createDeployment();
  const { pool } = deployment;
  await adoptSlowPredictors(pool, SLOW);
  const [api, worker] = await Promise.all([deployment.startApi(), deployment.startWorker()]);
  const { id } = await api.client.runs.start({ predictor: LENIENT, scope: 'all' });
  for await (const _ of api.client.runs.watch(id));
  for (const one of [api, worker]) one.kill('SIGKILL');
  await Promise.all([api.ended, worker.ended]);
  await slowDown(pool, SLOW);
});
afterAll(() => deployment?.close());

describe('ten times the capacity of live inference', () => {
  it('is rejected without a wait, and accepted reads are answered', async () => {
    const api = await deployment.startApi();
    const load = { port: api.port, ratePerSecond: RATE, maxConnections: 1_000, timeoutMs: 20_000 };
    const { kinds, withoutRetryAfter } = tallyOf(
      await runOpenLoop({ ...load, seconds: 6, request: demandFrom(STRICT, SLOW.users) }),
    );
    const count = (name: string) => kinds.get(name)?.count ?? 0;
    const said = JSON.stringify([...kinds.values()]);
    // Without load shedding every read would wait in the queue, and hardly any answer would come in time.
    expect(count('503 overloaded'), said).toBeGreaterThan(6 * RATE * 0.5);
    expect(count('live'), said).toBeGreaterThan(count('503 live_timeout'));
    expect(count('503 live_failed') + count('timeout') + count('reset'), said).toBe(0);
    expect(kinds.get('503 overloaded')?.p50).toBeLessThan(kinds.get('live')?.p50 ?? 0);
    expect(withoutRetryAfter).toBe(0);
    const { answer } = await api.client.predict(STRICT, '1', { noCache: true });
    expect(answer.source).toBe('live');
    api.kill('SIGKILL');
  });
});

it('a thousand readers of one user whose context has just changed cost one inference', async () => {
  const api = await deployment.startApi();
  const { kinds, inferences } = await sendHerd(api.url, api.port, 1_000, '7');
  expect([inferences, kinds.live, kinds.reset], JSON.stringify(kinds)).toEqual([1, expect.any(Number), undefined]);
  api.kill('SIGKILL');
});

it('clients that only hold connections are disconnected, and other clients are served', async () => {
  const api = await deployment.startApi();
  const holding = await openSlowClients(api.port, 500, ['silent', 'headers', 'body', 'idle']);
  const untaking = await openSlowClients(api.port, 6, ['unread', 'trickle']);
  const { answer } = await api.client.predict(LENIENT, '1');
  expect(answer.source).toBe('batch');
  for (const { ports } of [holding, untaking]) {
    await until('the service holds none of them', async () => (await heldOf(api.port, ports)) === 0, 60_000);
  }
  holding.end();
  untaking.end();
  api.kill('SIGKILL');
});
