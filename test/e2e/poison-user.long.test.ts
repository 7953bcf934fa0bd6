/** If the model crashes or hangs for one user, only this user fails, by name. Others are served by runs and live. */

import type { Run } from '@tandem/client/wire';
import { adopt } from '@tandem/offline-store/adopt';
import { loopModel, memoryModel } from '@tandem/testing/onnx-models';
import { isProblem } from '@tandem/transport/client-errors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCounts, loadedPredictor } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 400;
const POISON = '13';
const HEALTHY = '12';
/** A number of floats that exceeds the memory of a child, and iterations of a loop that take minutes. */
const DEADLY = 3e8;
/** A predictor whose model allocates memory by the user's `load`. */
const DIES = 'dies';
/**
 * A predictor whose model loops by the user's `load`. It has six chunks of one user, because each attempt can take 10
 * s.
 */
const HANGS = 'hangs';

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment();
  const { pool } = deployment;
  await createCounts(pool, USERS);
  await pool.query(`update counts set changes = 1, load = case when user_id = ${POISON} then ${DEADLY} else 1 end`);
  const columns = ['load', 'changes'] as const;
  const freshness = { liveTimeoutMs: 500 };
  await adopt(pool, {
    actor: 'test',
    predictors: [
      loadedPredictor({
        ...{ name: DIES, model: memoryModel(), columns, freshness },
        batch: { chunkSize: 100, minCoverage: 0.9 },
      }),
      loadedPredictor({
        ...{ name: HANGS, model: loopModel(), columns, freshness, where: 'user_id between 10 and 15' },
        batch: { chunkSize: 1, minCoverage: 0.5 },
      }),
    ],
  });
  api = await deployment.startApi({ environment: { INFERENCE_MEMORY_MB: '400' } });
  await deployment.startWorker({ INFERENCE_PROCESSES: '2', INFERENCE_MEMORY_MB: '400' });
});
afterAll(() => deployment?.close());

it('only the poison user fails, by name in the report of the run, if the model crashes or hangs', async () => {
  const [died, hung] = await Promise.all([runToItsEnd(DIES), runToItsEnd(HANGS)]);
  expect(died).toMatchObject({ state: 'done_with_errors', usersScored: USERS - 1, usersFailed: 1 });
  expect(hung).toMatchObject({ state: 'done_with_errors', usersScored: 5, usersFailed: 1 });
  for (const { failures } of [died, hung]) {
    expect(failures).toMatchObject([{ userId: POISON, reason: expect.stringMatching(/\S/) }]);
  }
  const everyone = Array.from({ length: USERS }, (_, i) => String(i + 1)).filter((userId) => userId !== POISON);
  const results = await api.client.predictMany(DIES, everyone, { onlyIfCached: true });
  for (const { answer } of results) expect(answer).toMatchObject({ source: 'batch', prediction: { score: 1 } });
});

it('a live read of the poison user is rejected in time, and other users are served', async () => {
  for (const predictor of [DIES, HANGS]) {
    const [poison, healthy] = await Promise.allSettled([
      api.client.predict(predictor, POISON),
      api.client.predict(predictor, HEALTHY),
    ]);
    expect(healthy).toMatchObject({ value: { answer: { source: 'batch', prediction: { score: 1 } } } });
    expect(poison.status === 'rejected' && isProblem(poison.reason, 'live_failed', 'live_timeout')).toBe(true);
    await until('healthy users are inferred again', async () => {
      const { answer } = await api.client.predict(predictor, HEALTHY, { noCache: true });
      return answer.source === 'live';
    });
  }
  expect(deployment.wire.violations).toEqual([]);
});

async function runToItsEnd(predictor: string): Promise<Run> {
  const { id } = await api.client.runs.start({ predictor, scope: 'all' });
  for await (const _ of api.client.runs.watch(id));
  return api.client.runs.show(id);
}
