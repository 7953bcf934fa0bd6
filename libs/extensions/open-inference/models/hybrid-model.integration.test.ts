/** Tests that a hybrid model reads until the caller's deadline, or until the caller disconnects. */

import { openAccess } from '@tandem/endpoints/access';
import { silentLog } from '@tandem/telemetry/log';
import { startWideEvent } from '@tandem/telemetry/wide-event';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../../../../apps/api/api.fixture.ts';
import { createOpenApi } from './open-api.fixture.ts';
import type { Asked } from './open-model.ts';
import { createOpenModels } from './open-models.ts';

let api: TestApi;
let blocker: PoolClient;
beforeAll(async () => {
  api = await createOpenApi({ liveTimeoutMs: 30_000, default: null });
  blocker = await api.pool.connect();
  // Until this transaction ends, no statement can read features.
  await blocker.query('begin; lock table customers in access exclusive mode');
});
afterAll(async () => {
  await blocker?.query('rollback');
  blocker?.release();
  await api?.close();
});

const WAITING = "select count(*)::int as n from pg_locks where not granted and relation = 'customers'::regclass";
const head = { url: '/', header: () => undefined };

function inferFor(userId: string, patience: Pick<Asked, 'leftMs' | 'onGone'>) {
  const event = startWideEvent('request.served', {}, { log: silentLog });
  const asked = { head, caller: openAccess(head, 'predictions:read', event), event, ...patience };
  const inputs = [{ name: 'user_id', type: 'string', dims: [1], data: [userId] } as const];
  const request = { id: undefined, parameters: {}, inputs, outputs: ['tandem.error', 'tandem.source'] };
  const find = createOpenModels(api.dependencies.app);
  return find('repurchase.hybrid', undefined).then((model) => model.infer(request, asked));
}

/** Returns the value of the series whose labels contain this text; undefined if there is none. */
async function counted(metric: string, text: string): Promise<number | undefined> {
  const series = new RegExp(`${metric}\\{.*${text}.*\\} (\\d+)`).exec(await (await api.get('/metrics')).text());
  return series?.[1] === undefined ? undefined : Number(series[1]);
}

const inferred = (outcome: string) => counted('tandem_live_inference_seconds_count', `outcome="${outcome}"`);
const errors = (code: string) => counted('tandem_prediction_errors_total', `code="${code}"`);

describe('a hybrid read', () => {
  it('ends when its caller disconnects, and does not count as served', async () => {
    const listeners: (() => void)[] = [];
    const onGone = (tell: () => void) => void listeners.push(tell);
    const reading = inferFor('4', { leftMs: () => Number.POSITIVE_INFINITY, onGone });
    const ended = expect(reading).rejects.toMatchObject({ code: 'caller_gone' });
    // The only waiting statement is that of this read.
    await expect.poll(async () => (await blocker.query(WAITING)).rows[0].n).toBe(1);
    for (const tell of listeners) tell();
    await ended;
    expect([await errors('caller_gone'), await errors('live_timeout')]).toEqual([undefined, undefined]);
    expect([await inferred('caller_gone'), await inferred('live_timeout')]).toEqual([1, undefined]);
  });

  it('is answered before the caller’s deadline if live inference would be too late', async () => {
    const before = (await inferred('caller_gone')) ?? 0;
    const { outputs } = await inferFor('3', { leftMs: () => 200, onGone: () => {} });
    expect(outputs).toMatchObject([{ data: ['urn:tandem:problem:caller_gone'] }, { data: [''] }]);
    expect([await errors('caller_gone'), await errors('live_timeout')]).toEqual([1, undefined]);
    expect([await inferred('caller_gone'), await inferred('live_timeout')]).toEqual([before + 1, undefined]);
  });

  it('of a predictor without live inference infers nothing, and raw inference still works', async () => {
    const idle = await createOpenApi({ live: false, onLiveFailure: 'error', default: null });
    try {
      const user = { name: 'user_id', datatype: 'BYTES', shape: [1], data: ['3'] };
      const demanded = { 'cache-control': 'no-cache' };
      const refused = await idle.post('/v2/models/repurchase.hybrid/infer', { inputs: [user] }, demanded);
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([422, null]);
      expect(await refused.json()).toMatchObject({
        ...{ type: 'urn:tandem:problem:invalid_input', error: expect.stringContaining('freshness.live') },
      });
      const features = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [10, 1] };
      expect((await idle.post('/v2/models/repurchase/infer', { inputs: [features] })).status).toBe(200);
    } finally {
      await idle.close();
    }
  });

  it('of a caller who has already disconnected infers nothing', async () => {
    const before = await inferred('caller_gone');
    const reading = inferFor('5', { leftMs: () => Number.POSITIVE_INFINITY, onGone: (tell) => tell() });
    await expect(reading).rejects.toMatchObject({ code: 'caller_gone' });
    expect(await inferred('caller_gone')).toBe(before);
  });
});
