/**
 * Tests a rollout on two APIs. A version that one API cannot load serves no users. After an abort is acknowledged,
 * neither API serves the version, even during its run.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { floats, node } from '@tandem/testing/onnx-writer';
import { scoreModel } from '@tandem/testing/score-model';
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest';
import { certified } from './certified.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment, startRun } from './deployment.fixture.ts';
import type { Program } from './program.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 2_000;
const READ_AT_ONCE = 50;
const READS = 30;
/** The pause between the reads of a reader, so that the processes under test get the CPU. */
const REST_MS = 10;
/** The model of version 2, whose score is the count plus 0.5. */
const VERSION_2 = scoreModel(1, [node('Add', ['features', 'half'], ['score'])], [floats('half', [1], [0.5])]);

/** The key of the advisory lock that holds the run of version 2. */
const HELD = 7;
/** The feature query of version 2. While the test has the lock, it waits for users of the second half. */
const FEATURES_2 = 'select user_id, changes + wait_if_held(user_id) as changes from counts';
const WAIT_IF_HELD = `create function wait_if_held(user_id bigint) returns int stable language plpgsql as $$
  begin
    if user_id > ${USERS / 2} then perform pg_advisory_xact_lock_shared(${HELD}); end if;
    return 0;
  end $$`;

let deployment: Deployment;
let first: Api;
let second: Api;
let worker: Program;
let rolloutId: string | undefined;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: 50 }, freshness: { liveTimeoutMs: 20_000 } });
  await deployment.pool.query(WAIT_IF_HELD);
  first = await deployment.startApi();
});
afterAll(() => deployment?.close());

const rollout = () => first.client.rollouts.find(rolloutId ?? '');

/** Adds version 2, and starts a canary that gives it half of the users. Returns the hash of the artifact. */
async function startCanary(): Promise<string> {
  const { artifact } = await first.client.pushVersion(COUNT, VERSION_2, { features: { sql: FEATURES_2 } });
  const plan = { kind: 'canary', version: '2', steps: [50, 100], coverage: 'live' } as const;
  rolloutId = (await first.client.rollouts.start(COUNT, { ...plan, analysis: { automatic: false } })).id;
  return artifact;
}

it('a version that one of two processes cannot load serves no users, and the process is named; the rollout begins once it can', async () => {
  const { pool, wire } = deployment;
  const artifact = await startCanary();
  const damage = `update tandem.artifacts set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) where hash = $1`;
  await until('the first API has the version', async () => (await stateOf(first)) === 'ready');
  await pool.query(damage, [artifact]);
  second = await deployment.startApi();
  await until('the second API has failed', async () => (await stateOf(second)) === 'failed');
  worker = await deployment.startWorker();
  const said = await until('the reason names the process that cannot load the version', async () => {
    const { reason } = await rollout();
    return reason.includes('cannot load') ? reason : null;
  });
  expect(said).toMatch(
    new RegExp(`^waits: api ${second.pid} on \\S+ cannot load model version 2 of ${COUNT}: .*damaged`),
  );
  expect(said).not.toContain(`api ${first.pid} `);
  expect(await rollout()).toMatchObject({ state: 'preparing', percent: 0 });
  for (const one of await answersOf([first, second]))
    expect(one).toMatchObject({ variant: 'stable', modelVersion: '1' });

  await pool.query(damage, [artifact]);
  await until('the rollout begins', async () => (await rollout()).state === 'running');
  const served = (await answersOf([first, second])).map(({ variant }) => variant);
  expect([...new Set(served)].sort()).toEqual(['candidate', 'stable']);
  // Both APIs assign the same users to the candidate.
  expect(served.slice(0, READ_AT_ONCE)).toEqual(served.slice(READ_AT_ONCE));
  expect(wire.violations).toEqual([]);
});

it('after an abort is acknowledged, no process answers from the aborted version, also during its run', async () => {
  const { client } = first;
  if (rolloutId === undefined) {
    await startCanary();
    second = await deployment.startApi();
    worker = await deployment.startWorker();
    await until('the rollout begins', async () => (await rollout()).state === 'running');
  }
  // The run that the preparation requested ends before the lock holds runs.
  await until('no run is in progress', async () =>
    (await client.runs.list({ predictor: COUNT })).runs.every(({ finishedAt }) => finishedAt !== null),
  );
  const holder = await deployment.pool.connect();
  // Otherwise the worker would wait for the lock, and the deployment would not close.
  onTestFailed(() => void holder.query('select pg_advisory_unlock_all()').catch(() => {}));
  await holder.query(`select pg_advisory_lock(${HELD})`);
  const run = await startRun(client, { predictor: COUNT, scope: 'all', variant: 'candidate' });
  await until('half of the run is done', async () => (await client.runs.show(run.id)).chunksCommitted > 5);
  worker.kill('SIGSTOP');
  const readers = [first, second].flatMap((api) => [0, 1].map(() => startReader(api)));
  await until('each reader has seen the candidate', () => readers.every(({ seen }) => seen.candidate > READS));
  expect(await client.rollouts.move(rolloutId ?? '', 'abort')).toMatchObject({ state: 'aborted' });
  for (const reader of readers) reader.abandoned();
  await until('each reader has read after the abort', () => readers.every(({ seen }) => seen.after > READS));
  holder.release(true);
  worker.kill('SIGCONT');
  await until('the run of the candidate has ended', async () => (await client.runs.show(run.id)).finishedAt !== null);
  const ended = readers.map(({ seen }) => seen.after);
  await until('each reader has read after the abort', () =>
    readers.every(({ seen }, i) => seen.after > (ended[i] ?? 0) + READS),
  );
  expect(await Promise.all(readers.map((reader) => reader.stop()))).toEqual([[], [], [], []]);
  expect(await client.runs.show(run.id)).toMatchObject({
    state: 'done',
    error: expect.stringContaining('no longer served'),
  });
  expect(deployment.wire.violations).toEqual([]);
});

async function stateOf({ pid }: Api): Promise<string | undefined> {
  const listed = (await first.client.processes()).find((one) => one.pid === pid);
  return listed?.models.find(({ modelVersion }) => modelVersion === '2')?.state;
}

/** Returns the answers of each API for the first users. */
async function answersOf(apis: readonly Api[]) {
  const userIds = Array.from({ length: READ_AT_ONCE }, (_, i) => String(i + 1));
  const results = await Promise.all(apis.map(({ client }) => certified(() => client.predictMany(COUNT, userIds))));
  return results.flat().map(({ answer }) => answer ?? expect.unreachable('an answer for each'));
}

/** Starts a reader that records wrong answers, such as an answer of the candidate to a read sent after the abort. */
function startReader(api: Api) {
  const seen = { candidate: 0, after: 0 };
  const wrong: unknown[] = [];
  let isAbandoned = false;
  let isStopping = false;
  async function read(): Promise<void> {
    const isLate = isAbandoned;
    for (const answer of await answersOf([api])) {
      const isOfCandidate = answer.variant !== 'stable';
      if (isOfCandidate) seen.candidate++;
      const isTrue = Number(answer.prediction.score) % 1 === (isOfCandidate ? 0.5 : 0);
      if (!isTrue || answer.modelVersion !== (isOfCandidate ? '2' : '1') || (isLate && isOfCandidate))
        wrong.push(answer);
    }
    if (isLate) seen.after++;
  }
  const reading = (async () => {
    while (!isStopping) {
      await read();
      await pause(REST_MS);
    }
  })();
  // `stop` rejects with the error.
  reading.catch(() => {});
  return {
    seen,
    abandoned() {
      isAbandoned = true;
    },
    async stop() {
      isStopping = true;
      await reading;
      return wrong;
    },
  };
}
