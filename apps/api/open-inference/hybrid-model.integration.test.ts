/** How long a hybrid model reads for a caller: until its deadline, or until it goes. */
import { silentLog } from '@tandem/telemetry/log';
import { startWideEvent } from '@tandem/telemetry/wide-event';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../api.fixture.ts';
import { openAccess } from '../keys/access.ts';
import { createOpenApi } from './open-api.fixture.ts';
import type { Asked } from './open-model.ts';
import { createOpenModels } from './open-models.ts';

let api: TestApi;
let blocker: PoolClient;
beforeAll(async () => {
  api = await createOpenApi({ liveTimeoutMs: 30_000, default: null });
  blocker = await api.pool.connect();
  // Until it ends, no statement reads features.
  await blocker.query('begin; lock table customers in access exclusive mode');
});
afterAll(async () => {
  await blocker?.query('rollback');
  blocker?.release();
  await api?.close();
});

const head = { url: '/', header: () => undefined };

function inferFor(userId: string, patience: Pick<Asked, 'leftMs' | 'onGone'>) {
  const event = startWideEvent('request.served', {}, { log: silentLog });
  const asked = { head, caller: openAccess(head, 'predictions:read', event), event, ...patience };
  const inputs = [{ name: 'user_id', type: 'string', dims: [1], data: [userId] } as const];
  const request = { id: undefined, parameters: {}, inputs, outputs: ['tandem.error', 'tandem.source'] };
  const find = createOpenModels(api.dependencies.app);
  return find('repurchase.hybrid', undefined).then((model) => model.infer(request, asked));
}

const served = async () =>
  /tandem_prediction_errors_total\{.*live_timeout.*/.exec(await (await api.get('/metrics')).text())?.[0];

describe('a hybrid read', () => {
  it('that live inference would make late is answered before the deadline of its caller', async () => {
    const { outputs } = await inferFor('3', { leftMs: () => 200, onGone: () => {} });
    expect(outputs).toMatchObject([{ data: ['urn:tandem:problem:live_timeout'] }, { data: [''] }]);
    expect(await served()).toMatch(/ 1$/);
  });

  it('ends when its caller goes, and does not count as served', async () => {
    const before = await served();
    const listeners: (() => void)[] = [];
    const onGone = (tell: () => void) => {
      listeners.push(tell);
      // The second listener is that of live inference, which has begun.
      if (listeners.length === 2) queueMicrotask(() => listeners.map((one) => one()));
    };
    const reading = inferFor('4', { leftMs: () => Number.POSITIVE_INFINITY, onGone });
    expect((await reading).outputs).toMatchObject([{ data: ['urn:tandem:problem:live_timeout'] }, { data: [''] }]);
    expect(await served()).toBe(before);
  });
});
