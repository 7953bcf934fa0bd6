import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  cancelAsleep,
  createSlowWorld,
  ENDLESS,
  ENDLESS_CHUNK,
  runSideBySide,
  SLOW_COMPARISON,
  type SlowWorld,
} from './run-steps.fixture.ts';

let world: SlowWorld;
beforeAll(async () => {
  world = await createSlowWorld({ seconds: 60, planTimeout: 45 });
  await Promise.all([world.startWorker(), world.startWorker()].map((worker) => worker.until('worker.started')));
});
afterAll(() => world.close());

test('a plan and a comparison of one minute, and a query that never ends, delay no other predictor', async () => {
  const { alone, beside, most, ended } = await runSideBySide(world);
  process.stdout.write(
    `quick runs: ${Math.round(alone)} ms alone, ${beside.length} beside, at most ${Math.round(Math.max(...beside))} ms\n`,
  );
  expect(Math.max(...beside)).toBeLessThan(2 * alone + 3_000);
  expect(most).toEqual({ plans: 2, comparisons: 1, chunks: 1 });
  expect(ended).toEqual([
    { state: 'done', error: null },
    { state: 'done', error: null },
    { state: 'failed', error: expect.stringContaining('batch.planTimeout (45 s), at predictors.endless.features.sql') },
    { state: 'cancelled', error: null },
  ]);
});

test.each([ENDLESS, ENDLESS_CHUNK, SLOW_COMPARISON])(
  'a run of %s is cancelled within two seconds',
  async (predictor) => {
    const { state, answered, stopped } = await cancelAsleep(world, predictor);
    expect([state, answered < 2_000, stopped < 2_000]).toEqual(['cancelled', true, true]);
  },
);
