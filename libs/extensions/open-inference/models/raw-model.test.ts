import { openAccess } from '@tandem/endpoints/access';
import { TandemError } from '@tandem/freshness/errors';
import type { Infer } from '@tandem/inference/live/infer-request';
import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import { silentLog } from '@tandem/telemetry/log';
import { startWideEvent } from '@tandem/telemetry/wide-event';
import { expect, test } from 'vitest';
import type { Parameters } from '../messages/messages.ts';
import { createRawModels } from './raw-model.ts';
import type { ServedVersion } from './served-versions.ts';

const served = {
  predictor: { name: 'repurchase', policy: { freshness: { liveTimeoutMs: 250 } } },
  version: { number: 1, artifactHash: 'a' },
  ...{ variant: 'stable', numbers: ['1'], outputNames: ['score'], triedOutputs: new Set(['score']) },
  inputs: [{ name: 'features', type: 'float32', shape: [-1, 1] }],
  outputs: [{ name: 'score', type: 'float32', shape: [-1, 1] }],
} as unknown as ServedVersion;

/**
 * Infers one row.
 * @param leftMs milliseconds until the deadline of the transport
 */
async function inferOneRow(leftMs: number, parameters: Parameters, infer: Infer) {
  const model = await createRawModels({ findServedVersion: async () => served, infer })('repurchase', undefined);
  const head = { url: '/', header: () => undefined };
  const event = startWideEvent('request.served', {}, { log: silentLog });
  const caller = openAccess(head, 'models:infer', event);
  const inputs = [{ name: 'features', type: 'float32', dims: [1, 1], data: Float32Array.of(1) } as const];
  return model.infer(
    { id: undefined, parameters, inputs, outputs: null },
    { head, caller, event, leftMs: () => leftMs, onGone: () => {} },
  );
}

test.each([
  ['the deadline of the caller’s transport', 5, {}, 'caller_gone'],
  ['a deadline of the transport that is longer than the limit of the predictor', 10_000, {}, 'live_timeout'],
  ['the parameter timeout, whose caller waits for the answer', 5, { timeout: 1_000 }, 'live_timeout'],
  ['the limit of the predictor', Number.POSITIVE_INFINITY, {}, 'live_timeout'],
])('a model that exceeds %s gets the right problem', async (_, leftMs, parameters, code) => {
  const infer = () => Promise.reject(new TandemError('live_timeout', 'late'));
  await expect(inferOneRow(leftMs, parameters, infer)).rejects.toMatchObject({ code });
});

test('a call whose deadline has passed does not enter the queue', async () => {
  const infer = () => Promise.reject(new TandemError('overloaded', 'no room'));
  await expect(inferOneRow(0, {}, infer)).rejects.toMatchObject({ code: 'caller_gone' });
});

test('rows with which the model hung are named, with the time after which they are tried again', async () => {
  const why = 'these features made the model hang or crash: no answer within 1250 ms';
  const rows = new Map([3, 7].map((row) => [row, why]));
  const infer = () => Promise.reject(new RowsRefused('live_failed', rows, { retryAfter: 10 }));
  await expect(inferOneRow(1_000, {}, infer)).rejects.toMatchObject({
    ...{ code: 'live_failed', retryAfter: 10 },
    message: expect.stringMatching(/rows 3, 7 \(counted from 0\).*no answer within 1250 ms/),
    remedy: expect.stringMatching(/^check the input values of rows 3, 7.* wait 10 s/),
  });
});
