/**
 * A rollout on two APIs. A version that one of them cannot load serves no users. From the acknowledgement of an abort,
 * neither API serves the version, even during its run.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { floats, node } from '@tandem/testing/onnx-writer';
import { scoreModel } from '@tandem/testing/score-model';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import type { Program } from './program.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 2_000;
const READ_AT_ONCE = 50;
const READS = 30;
/** Between the reads of a reader, so that the processes under test have the CPU. */
const REST_MS = 10;
/** The answer says by itself that it is of version 2: the count and a half. */
const VERSION_2 = scoreModel(1, [node('Add', ['features', 'half'], ['score'])], [floats('half', [1], [0.5])]);

let deployment: Deployment;
let first: Api;
let second: Api;
let worker: Program;
let rolloutId: string;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: 50 }, freshness: { liveTimeoutMs: 20_000 } });
  first = await deployment.startApi();
});
afterAll(() => deployment?.close());

const rollout = () => first.client.rollouts.find(rolloutId);

it('a version that one of two processes cannot load serves no users, and the process is named; once it can, the rollout begins', async () => {
  const { pool, wire } = deployment;
  const { artifact } = await first.client.pushVersion(COUNT, VERSION_2, {
    features: { sql: 'select user_id, changes from counts' },
  });
  const damage = `update tandem.artifacts set bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) where hash = $1`;
  const plan = { kind: 'canary', version: '2', steps: [50, 100], coverage: 'live' } as const;
  rolloutId = (await first.client.rollouts.start(COUNT, { ...plan, analysis: { automatic: false } })).id;
  await until('the first API has it', async () => (await stateOf(first)) === 'ready');
  await pool.query(damage, [artifact]);
  second = await deployment.startApi();
  // No process waits for a version that it does not know yet.
  await until('the other one has failed', async () => (await stateOf(second)) === 'failed');
  worker = await deployment.startWorker();
  const said = await until('it names the process that it waits for', async () => {
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
  await until('it begins', async () => (await rollout()).state === 'running');
  const served = (await answersOf([first, second])).map(({ variant }) => variant);
  expect([...new Set(served)].sort()).toEqual(['candidate', 'stable']);
  // The same users on both.
  expect(served.slice(0, READ_AT_ONCE)).toEqual(served.slice(READ_AT_ONCE));
  expect(wire.violations).toEqual([]);
});

it('from the acknowledgement of an abort on no process answers from what was abandoned, in the midst of its run', async () => {
  const { client } = first;
  const run = await until('its own run can be asked for', () =>
    client.runs.start({ predictor: COUNT, scope: 'all', variant: 'candidate' }),
  );
  await until('the run is in its midst', async () => (await client.runs.show(run.id)).chunksCommitted > 5);
  worker.kill('SIGSTOP');
  const readers = [first, second].flatMap((api) => [0, 1].map(() => startReader(api)));
  await until('all have met the candidate', () => readers.every(({ seen }) => seen.candidate > READS));
  expect(await client.rollouts.move(rolloutId, 'abort')).toMatchObject({ state: 'aborted' });
  for (const reader of readers) reader.abandoned();
  await until('all have read on', () => readers.every(({ seen }) => seen.after > READS));
  worker.kill('SIGCONT');
  await until('its run has ended', async () => (await client.runs.show(run.id)).finishedAt !== null);
  const ended = readers.map(({ seen }) => seen.after);
  await until('all have read on', () => readers.every(({ seen }, i) => seen.after > (ended[i] ?? 0) + READS));
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

/** What each says of the first users. */
async function answersOf(apis: readonly Api[]) {
  const userIds = Array.from({ length: READ_AT_ONCE }, (_, i) => String(i + 1));
  const results = await Promise.all(apis.map(({ client }) => client.predictMany(COUNT, userIds)));
  return results.flat().map(({ answer }) => answer ?? expect.unreachable('an answer for each'));
}

/** Reads one moment after another, and tells what was answered from the candidate to a read that was sent too late for it. */
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
  // What broke it is told by stop.
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
