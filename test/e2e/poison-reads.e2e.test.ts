/** Repeated reads of users with features that make the model hang do not keep every inference child busy. */

import { adopt } from '@tandem/offline-store/adopt';
import { loopModel } from '@tandem/testing/onnx-models';
import { ProblemError } from '@tandem/transport/client-errors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCounts, loadedPredictor } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

const LOOPS = 'loops';
/** A number of iterations that does not end in practice. */
const FOR_EVER = 2 ** 62;
const POISON = ['13', '14'] as const;
const HEALTHY = Array.from({ length: 12 }, (_, i) => String(i + 1));
/** Reads of each user in a row that must be answered as expected. */
const ROUNDS = 20;

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment();
  const { pool } = deployment;
  await createCounts(pool, 20);
  await pool.query(
    'update counts set changes = user_id, load = case when user_id = any($1) then $2::float8 else 1 end',
    [POISON, FOR_EVER],
  );
  const freshness = { liveTimeoutMs: 1_000, onLiveFailure: 'error' } as const;
  const loops = { name: LOOPS, model: loopModel(), columns: ['load', 'changes'] as const, freshness, batch: {} };
  await adopt(pool, { actor: 'test', predictors: [loadedPredictor(loops)] });
  api = await deployment.startApi({ environment: { INFERENCE_PROCESSES: '2' } });
  await until('the model is asked', async () => (await codeOf('1')) === 'live');
});
afterAll(() => deployment?.close());

it('healthy users are answered live while two poison users are read repeatedly', async () => {
  let inARow = 0;
  await until('healthy users are answered', async () => {
    const [healthy, poison] = await Promise.all([HEALTHY, POISON].map((users) => Promise.all(users.map(codeOf))));
    for (const code of poison ?? []) expect(code).toMatch(/^live_(failed|timeout)$/);
    inARow = healthy?.every((code) => code === 'live') ? inARow + 1 : 0;
    return inARow === ROUNDS;
  });
});

/** Reads a user without the cache. Returns the source of the answer, or the code of the problem. */
async function codeOf(userId: string): Promise<string> {
  try {
    return (await api.client.predict(LOOPS, userId, { noCache: true })).answer.source;
  } catch (error) {
    if (error instanceof ProblemError) return error.code;
    throw error;
  }
}
