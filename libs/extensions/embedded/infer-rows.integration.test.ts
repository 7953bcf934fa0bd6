import type { Predictor } from '@tandem/freshness/predictor';
import { createInferencePool } from '@tandem/inference/live/pool';
import { createPredictionWorld, PREDICTOR, type PredictionWorld } from '@tandem/prediction/prediction-world.fixture';
import { createKnownAssignments } from '@tandem/reading/known-assignments';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createInferRows } from './infer-rows.ts';

let world: PredictionWorld;
beforeAll(async () => {
  world = await createPredictionWorld({ users: 1 });
  await world.adoptHanging();
});
afterAll(() => world?.close());

it('rejects rows of a paused model as `unavailable`, with the time of the next attempt', async () => {
  const { registry, authority } = world;
  // The clock stops with the pause, so the pause does not end during the test.
  let pausedAt: number | undefined;
  const pool = createInferencePool({
    loadArtifact: registry.loadArtifact,
    ...{ log: () => {}, processes: 1, killGraceMs: 10, maxLostMs: 200 },
    now: () => pausedAt ?? performance.now(),
    onRest: () => {
      pausedAt = performance.now();
    },
  });
  try {
    const knownAssignments = createKnownAssignments({ authority });
    const inferRows = createInferRows({
      ...{ knownAssignments, registry, scorer: pool },
      ...{ infersLive: true, mayInfer: () => true },
    });
    const adopted = (await registry.predictor(PREDICTOR)) as Predictor;
    const within = (liveTimeoutMs: number, turns: number) => {
      const freshness = { ...adopted.policy.freshness, liveTimeoutMs };
      return inferRows({ ...adopted, policy: { ...adopted.policy, freshness } }, [{ features: { turns, changes: 1 } }]);
    };
    expect((await within(20_000, 0)).predictions).toEqual([{ score: 1 }]);
    await expect(within(500, 2 ** 62)).rejects.toMatchObject({ code: 'live_timeout' });
    await expect.poll(() => pausedAt, { timeout: 20_000 }).toBeDefined();
    await expect(within(20_000, 0)).rejects.toMatchObject({
      ...{ code: 'unavailable', retryAfter: 1, message: expect.stringMatching(/is paused/) },
      remedy: expect.stringContaining('roll back'),
    });
  } finally {
    await pool.close();
  }
});

it('names the option to change if this process infers nothing', async () => {
  const { registry, authority, inference: scorer } = world;
  const knownAssignments = createKnownAssignments({ authority });
  const parts = { knownAssignments, registry, scorer, infersLive: false, mayInfer: () => false };
  const adopted = (await registry.predictor(PREDICTOR)) as Predictor;
  await expect(createInferRows(parts)(adopted, [])).rejects.toMatchObject({
    ...{ code: 'invalid_input', field: 'live', retryAfter: undefined, remedy: expect.stringContaining('live: false') },
  });
});
