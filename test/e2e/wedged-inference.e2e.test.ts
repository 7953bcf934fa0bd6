/** An inference child that loops for ever or is stopped is killed and replaced. Other requests are not affected. */

import { adopt } from '@tandem/offline-store/adopt';
import { loopModel } from '@tandem/testing/onnx-models';
import { ProblemError } from '@tandem/transport/client-errors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { certified } from './certified.fixture.ts';
import { COUNT, countPredictor, createCounts, loadedPredictor } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { running } from './program.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 100;
/** A predictor whose model loops `load` times. */
const LOOPS = 'loops';
/** A number of iterations that does not end in practice. */
const FOR_EVER = 2 ** 62;
const ENDLESS = '13';
/** Long enough for a whole read of a busy machine while a child hangs. */
const LIVE_MS = 6_000;
/** The grace period of the pool after the last deadline of a run. */
const KILL_GRACE_MS = 1_000;

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment();
  const { pool } = deployment;
  await createCounts(pool, USERS);
  await pool.query(`update counts set load = case when user_id = ${ENDLESS} then ${FOR_EVER} else 1 end`);
  const loops = { model: loopModel(), columns: ['load', 'changes'] as const, batch: {} };
  await adopt(pool, {
    actor: 'test',
    predictors: [
      // The long time limit is reached only by a read that waits for the hanging child.
      countPredictor({ freshness: { liveTimeoutMs: 20_000 } }),
      loadedPredictor({ ...loops, name: LOOPS, freshness: { liveTimeoutMs: LIVE_MS, onLiveFailure: 'error' } }),
    ],
  });
  api = await deployment.startApi({ environment: { INFERENCE_PROCESSES: '2' } });
  await untilReady();
});
afterAll(() => deployment?.close());

it('the child of a model that loops for ever is killed within a second of the deadline, and other reads are answered', async () => {
  const before = api.children();
  // The first read of a predictor asks a model only after it has its certificate, so a repetition does not loop again.
  const endless = codeOf(certified(() => predict(LOOPS, ENDLESS)));
  const reads: { readonly from: number; readonly to: number }[] = [];
  await until('the child is killed', async () => {
    const from = Date.now();
    expect(await codeOf(certified(() => predict(COUNT, String(1 + (reads.length % 12)))))).toBe('live');
    reads.push({ from, to: Date.now() });
    return endings().length > 0;
  });
  expect(await endless).toBe('live_timeout');
  const [ending] = endings();
  const killedAt = Date.parse(String(ending?.time));
  // A read that waits for the hanging child ends after it. A read from before the loop proves nothing.
  const meanwhile = reads.filter(({ from, to }) => from > killedAt - limitOf(ending?.how) && to < killedAt);
  expect(meanwhile).not.toEqual([]);
  await expectReplaced(before, 1);
  // The same model serves users for which it does not loop.
  await until('the model is asked again', async () => (await codeOf(predict(LOOPS, '12'))) === 'live');
});

it('requests to a stopped child fail in time, and the child is killed and replaced', async () => {
  // The first read of a predictor waits for a certificate. Later ones go to a child at once.
  await until('the model is asked', async () => (await codeOf(predict(LOOPS, '1'))) === 'live');
  await untilReady();
  const before = api.children();
  for (const pid of before) process.kill(pid, 'SIGSTOP');
  // A request that is sent to an idle stopped child makes it miss a deadline. A replaced child would answer instead of
  // the other stopped child, so that one is asked while the first is busy.
  const asked = [codeOf(predict(LOOPS, '1'))];
  await until('one child is asked', async () => (await saturation()) === 0.5);
  asked.push(codeOf(predict(LOOPS, '2')));
  expect((await Promise.all(asked)).filter((code) => code === 'live')).toEqual([]);
  await until('both are killed', () => running(before).length === 0);
  await expectReplaced(before, 2);
  await until('the model is asked again', async () => (await codeOf(predict(LOOPS, '5'))) === 'live');
  expect(await codeOf(certified(() => predict(COUNT, '5')))).toBe('live');
  expect(deployment.wire.violations).toEqual([]);
});

/** Waits until both children are running and idle. */
async function untilReady(): Promise<void> {
  await until('both children are free', async () => {
    // On a busy machine a model may fail to load at the start. This request loads it.
    const { status } = (await (await fetch(`${api.url}/readyz`)).json()) as { status: string };
    if (status !== 'ready') return false;
    return (await saturation()) === 0 && api.children().length === 2;
  });
}

/** Returns the share of inference children that are at work. */
async function saturation(): Promise<number> {
  const text = await (await fetch(`${api.url}/metrics`)).text();
  return Number(/^tandem_inference_saturation_ratio\{[^}]*\} (\S+)$/m.exec(text)?.[1]);
}

const endings = () => api.lines.filter(({ event }) => event === 'inference.process_ended');

/**
 * Expects that `gone` of these children were killed after their deadline and the grace period, and that two run again.
 */
async function expectReplaced(before: readonly number[], gone: number): Promise<void> {
  await untilReady();
  expect(api.children()).toHaveLength(2);
  expect(running(before)).toHaveLength(before.length - gone);
  for (const { why, how } of endings().slice(-gone)) {
    expect(why).toBe('deadline');
    expect(limitOf(how)).toBeLessThanOrEqual(LIVE_MS + KILL_GRACE_MS);
  }
}

/** Returns the milliseconds after which a run was killed. */
const limitOf = (how: unknown) => Number(/no answer within (\d+) ms$/.exec(String(how))?.[1]);

const predict = (predictor: string, userId: string) => api.client.predict(predictor, userId, { noCache: true });

/** Returns the source of the answer, or the code of the problem. */
async function codeOf(read: ReturnType<typeof predict>): Promise<string> {
  try {
    return (await read).answer.source;
  } catch (error) {
    if (error instanceof ProblemError) return error.code;
    throw error;
  }
}
