import { createHash } from 'node:crypto';
import { bucketOfUser } from '@tandem/freshness/assignment';
import { insertCandidate } from '@tandem/offline-store/candidate.fixture';
import { loopModel } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { createTestApi, repurchase, type TestApi } from './api.fixture.ts';

const PATIENCE = { timeout: 60_000, interval: 200 };

/** One inference process serves the stable version. The candidate hangs for customers with an infinite recency. */
let api: TestApi;
beforeEach(async () => {
  const { name, definition } = repurchase();
  const artifact = loopModel();
  const artifactHash = createHash('sha256').update(artifact).digest('hex');
  const candidate = { name, artifact, definition: { ...definition, artifactHash } };
  const freshness = { liveTimeoutMs: 6_000, onLiveFailure: 'stale' } as const;
  api = await createTestApi(
    freshness,
    inject('redisUrl'),
    { megabytes: 0 },
    {},
    {
      prepare: (pool) => insertCandidate(pool, candidate, { state: 'running', endBucket: 5_000 }),
    },
  );
});
afterEach(() => api?.close());

const isOfCandidate = (userId: number) => bucketOfUser('salt', `${userId}`) < 5_000;
const USERS = Array.from({ length: 9 }, (_, i) => i + 1);

interface Answer {
  readonly source?: string;
  readonly reason?: string;
  readonly variant?: string;
}
const readLive = async (userId: number): Promise<Answer> =>
  (await (await api.get(`/v1/predictions/repurchase/${userId}`, { 'cache-control': 'no-cache' })).json()) as Answer;

async function loadedVersions(): Promise<readonly string[]> {
  const { processes } = (await (await api.get('/v1/processes')).json()) as {
    processes: { models: { modelVersion: string; state: string }[] }[];
  };
  return processes.flatMap(({ models }) =>
    models.filter(({ state }) => state === 'ready').map(({ modelVersion }) => modelVersion),
  );
}

it('a candidate that hangs for each of its users delays no live read of the stable version', async () => {
  await expect.poll(async () => [...(await loadedVersions())].sort(), PATIENCE).toEqual(['1', '2']);
  const [hanging, served] = [USERS.filter(isOfCandidate), USERS.filter((userId) => !isOfCandidate(userId))];
  expect(Math.min(hanging.length, served.length)).toBeGreaterThan(1);
  await api.pool.query('update customers set recency = 2 ^ 62 where user_id = any($1)', [hanging]);
  let isOver = false;
  const hangs = (async () => {
    const answers: Answer[] = [];
    for (const userId of hanging.slice(0, 2)) answers.push(await readLive(userId));
    isOver = true;
    return answers;
  })();
  const answers: Answer[] = [];
  while (!isOver) for (const userId of served) answers.push(await readLive(userId));
  expect((await hangs).map(({ source }) => source)).not.toContain('live');
  expect(answers.length).toBeGreaterThan(served.length);
  expect(answers.filter(({ source, variant }) => source !== 'live' || variant !== 'stable')).toEqual([]);
}, 180_000);
