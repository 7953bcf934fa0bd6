/**
 * Sends many more live reads than inference can answer. Some are rejected at once, and reads without inference are not
 * affected.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from '@tandem/client/create-client';
import { adopt } from '@tandem/offline-store/adopt';
import { loopModel } from '@tandem/testing/onnx-models';
import { ProblemError } from '@tandem/transport/client-errors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCounts, loadedPredictor } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';

const USERS = 2_000;
/** Users that the crowd does not read. */
const CALM_USERS = 100;
/** The iterations of the model's loop. One call keeps a child busy for about 200 ms, for any batch size. */
const TURNS = 200_000;
/** A predictor that answers with a stale prediction instead of an error. */
const LENIENT = 'lenient';
/** A predictor that does not serve stale predictions. */
const STRICT = 'strict';
const QUEUE_LIMIT = '32';
/**
 * The largest lag of the event loop in seconds: half of the time for which one call of the model would block it. The
 * sampler itself adds 0.01, and on a busy machine the process waits for a CPU.
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

it('each of hundreds of concurrent live reads is answered live, marked as stale, or rejected with Retry-After', async () => {
  const crowd = createCrowd();
  for (let wave = 0; wave < 5; wave++) await Promise.all(Array.from({ length: 400 }, crowd.read));
  expect(shedOf(crowd.outcomes)).toEqual(SHED);
});

it('while inference is saturated, the event loop is not blocked, and cached reads are answered', async () => {
  // Other processes of the machine only increase the lag and delay certificates. So one quiet round of several is
  // enough.
  const rounds: Round[] = [];
  const isQuiet = ({ lag, others, shed }: Round) =>
    lag < LARGEST_LAG && others.length === 0 && shed.join() === SHED.join();
  while (rounds.length < 8 && !rounds.some(isQuiet)) rounds.push(await saturate());
  expect(rounds.filter(isQuiet), JSON.stringify(rounds)).toHaveLength(1);
  expect(deployment.wire.violations).toEqual([]);
});

interface Round {
  /** The lag of the event loop, in seconds. */
  readonly lag: number;
  /** The source and reason of cached reads that were not fresh. */
  readonly others: readonly string[];
  /** The kinds of outcomes of the live reads. */
  readonly shed: readonly string[];
}

/** Sends more live reads than inference can answer, for three seconds. */
async function saturate(): Promise<Round> {
  const crowd = createCrowd();
  const under = new Set<Promise<void>>();
  const cached: Promise<string>[] = [];
  await eventLoopLag();
  const end = performance.now() + 3_000;
  // A steady rate, independent of earlier answers. It is too high for inference, and low for the rest of the service.
  while (performance.now() < end) {
    for (const predicting of [crowd.read(), crowd.read()]) {
      const one = predicting.finally(() => under.delete(one));
      under.add(one);
    }
    cached.push(readCached(cached.length));
    await pause(5);
  }
  const lag = await eventLoopLag();
  await Promise.all(under);
  const answers = await Promise.all(cached);
  const shed = shedOf(crowd.outcomes);
  return { lag, shed, others: answers.filter((answer) => answer !== 'batch fresh') };
}

const SHED = ['live', 'overloaded', 'stale overloaded'];

/**
 * Returns the kinds of outcomes. It omits requests that were accepted but not answered in time, and requests that
 * Postgres did not certify in time.
 */
function shedOf(outcomes: ReadonlyMap<string, number>): string[] {
  const passing = /live_timeout$|^stale unverified$|^unavailable$/;
  return [...outcomes.keys()].filter((outcome) => !passing.test(outcome)).sort();
}

/**
 * Creates readers that demand live answers, each of another user, alternating between the predictors. Records outcomes.
 */
function createCrowd() {
  // Each read is a request of its own, since the result of one user in a shared request has no Retry-After.
  const { fetch } = deployment.wire;
  const client = createClient({ url: api.url, coalesce: false, timeoutMs: 20_000, retryReadsForMs: 0, fetch });
  const outcomes = new Map<string, number>();
  let asked = 0;
  const askOne = (n: number): Promise<string> => {
    const userId = String(1 + (n % (USERS - CALM_USERS)));
    return outcomeOf(client.predict(n % 2 === 0 ? LENIENT : STRICT, userId, { noCache: true }));
  };
  return {
    outcomes,
    async read(): Promise<void> {
      const outcome = await askOne(asked++);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    },
  };
}

async function readCached(n: number): Promise<string> {
  const userId = String(USERS - (n % CALM_USERS));
  return outcomeOf(api.client.predict(LENIENT, userId, { timeoutMs: 20_000 }));
}

async function outcomeOf(reading: ReturnType<Api['client']['predict']>): Promise<string> {
  try {
    const { answer } = await reading;
    return answer.source === 'live' ? 'live' : `${answer.source} ${answer.reason}`;
  } catch (error) {
    if (error instanceof ProblemError) return error.retryAfter ? error.code : `${error.code} without Retry-After`;
    throw error;
  }
}

/** Returns the 99th percentile of the event loop's lag since the last call, in seconds. */
async function eventLoopLag(): Promise<number> {
  const text = await (await fetch(`${api.url}/metrics`)).text();
  const found = /^nodejs_eventloop_lag_p99_seconds\{[^}]*\} (\S+)$/m.exec(text);
  if (!found) throw new Error('the API has no metric nodejs_eventloop_lag_p99_seconds');
  return Number(found[1]);
}
