/** Far more live reads than inference can do: some are refused at once, and whoever needs no inference notices nothing. */
import { setTimeout as pause } from 'node:timers/promises';
import { ProblemError } from '@tandem/client/client-errors';
import { adopt } from '@tandem/offline-store/adopt';
import { loopModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCounts, loadedPredictor } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';

const USERS = 2_000;
/** Users whom the crowd leaves alone. */
const CALM_USERS = 100;
/** Turns of the model's loop: a run of it keeps a child busy for some 200 ms, whatever its size. */
const TURNS = 200_000;
/** Stale answers may be given instead of a refusal; or not. */
const LENIENT = 'lenient';
const STRICT = 'strict';
const QUEUE_LIMIT = '32';
/**
 * Seconds: half of what one run of the model would block. The sampler itself adds 0.01, and on a machine whose every
 * processor is busy the process waits for its turn.
 */
const LARGEST_LAG = 0.1;

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment();
  const { pool } = deployment;
  await createCounts(pool, USERS);
  await pool.query(`update counts set load = ${TURNS}`);
  const slow = { model: loopModel(), columns: ['load', 'changes'] as const, batch: {} };
  await adopt(pool, {
    actor: 'test',
    predictors: [
      loadedPredictor({ ...slow, name: LENIENT, freshness: {} }),
      loadedPredictor({ ...slow, name: STRICT, freshness: { onLiveFailure: 'error' } }),
    ],
  });
  api = await deployment.startApi({ environment: { INFERENCE_QUEUE_LIMIT: QUEUE_LIMIT } });
  const worker = await deployment.startWorker();
  const { id } = await api.client.runs.start({ predictor: LENIENT, scope: 'all' });
  for await (const _ of api.client.runs.watch(id));
  worker.kill('SIGTERM');
  await worker.ended;
});
afterAll(() => deployment?.close());

it('hundreds at once: each is answered live, honestly stale, or told when to come back', async () => {
  const crowd = createCrowd();
  for (let wave = 0; wave < 5; wave++) await Promise.all(Array.from({ length: 400 }, crowd.read));
  expectShed(crowd.outcomes);
});

it('while inference is saturated the event loop stays free, and cached reads are answered', async () => {
  const crowd = createCrowd();
  const under = new Set<Promise<void>>();
  const cached: Promise<void>[] = [];
  await eventLoopLag();
  const end = performance.now() + 3_000;
  // At a steady rate, whatever becomes of those before: more than inference takes, little for the rest of the service.
  while (performance.now() < end) {
    for (const predicting of [crowd.read(), crowd.read()]) {
      const one = predicting.finally(() => under.delete(one));
      under.add(one);
    }
    cached.push(readCached(cached.length));
    await pause(5);
  }
  const lag = await eventLoopLag();
  await Promise.all([...under, ...cached]);
  expectShed(crowd.outcomes);
  expect(lag).toBeLessThan(LARGEST_LAG);
  expect(deployment.wire.violations).toEqual([]);
});

/** Some of each, and whoever got a place and then no answer in time was told so. */
function expectShed(outcomes: ReadonlyMap<string, number>): void {
  const found = [...outcomes.keys()].filter((outcome) => !outcome.endsWith('live_timeout'));
  expect(found.sort()).toEqual(['live', 'overloaded', 'stale overloaded']);
}

/** Readers who want a live answer, each of another user, in turn of either predictor; what became of them. */
function createCrowd() {
  const outcomes = new Map<string, number>();
  let asked = 0;
  const askOne = async (n: number): Promise<string> => {
    const userId = String(1 + (n % (USERS - CALM_USERS)));
    try {
      const { answer } = await api.client.predict(n % 2 === 0 ? LENIENT : STRICT, userId, { noCache: true });
      return answer.source === 'live' ? 'live' : `${answer.source} ${answer.reason}`;
    } catch (error) {
      if (error instanceof ProblemError) return error.code;
      throw error;
    }
  };
  return {
    outcomes,
    async read(): Promise<void> {
      const outcome = await askOne(asked++);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    },
  };
}

async function readCached(n: number): Promise<void> {
  const { answer } = await api.client.predict(LENIENT, String(USERS - (n % CALM_USERS)), { timeoutMs: 1_000 });
  expect(answer).toMatchObject({ source: 'batch', reason: 'fresh' });
}

/** The 99th percentile in seconds since it was last asked for. */
async function eventLoopLag(): Promise<number> {
  const text = await (await fetch(`${api.url}/metrics`)).text();
  const found = /^nodejs_eventloop_lag_p99_seconds\{[^}]*\} (\S+)$/m.exec(text);
  if (!found) throw new Error('the API tells no nodejs_eventloop_lag_p99_seconds');
  return Number(found[1]);
}
