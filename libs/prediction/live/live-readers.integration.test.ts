import type { LivePredictor, LiveRequest } from '@tandem/freshness/live-predictor';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPredictionWorld, PREDICTOR, type PredictionWorld } from '../prediction-world.fixture.ts';
import { createLivePredictor } from './live-prediction.ts';

const USERS = 400;
/** The number of changes of a user. The score is a tenth of it; from ten on, the model refuses the batch. */
const changesOf = (userId: string) => Number(userId) % 11;
const POISON = 10;

let world: PredictionWorld;
let live: LivePredictor;
let place: Pick<LiveRequest, 'version' | 'assignment' | 'history' | 'enabled'>;

beforeAll(async () => {
  world = await createPredictionWorld({ users: USERS });
  await world.pool.query('update counts set changes = user_id % 11');
  live = createLivePredictor({
    features: world.features,
    scorer: world.inference,
    overlay: world.overlay,
    keepLater: () => {},
    keepNow: world.overlayRows.put,
  });
  const certificate = await world.authority.certify([]);
  const assignment = certificate.assignments(PREDICTOR)?.stable;
  if (!assignment) throw new Error('nothing is assigned');
  const version = await world.registry.modelVersion(assignment.modelVersionId);
  place = { version, assignment, history: certificate.history, enabled: true };
});
afterAll(() => world?.close());

// Few users are poison: otherwise most batches would be run row by row.
const userId = fc.oneof(
  { weight: 60, arbitrary: fc.integer({ min: 1, max: USERS }).filter((id) => id % 11 !== POISON) },
  { weight: 1, arbitrary: fc.constantFrom(10, 21, USERS + 1) },
);
const read = fc.record({
  userIds: fc.uniqueArray(userId.map(String), { minLength: 1, maxLength: 40 }),
  fresh: fc.boolean(),
  timeoutMs: fc.constantFrom(2, 40, 10_000, 10_000),
  startsAfterMs: fc.nat(30),
});
const reads = fc.array(read, { minLength: 10, maxLength: 40 });
const kill = fc.option(fc.nat(30), { freq: 4 });

it('concurrent readers each get the prediction of their own features, despite poison users, deadlines and kills', async () => {
  let predicted = 0;
  const property = fc.asyncProperty(reads, kill, async (concurrent, killAfterMs) => {
    if (killAfterMs !== null) setTimeout(killChild, killAfterMs);
    const asked = concurrent.map(async ({ userIds, fresh, timeoutMs, startsAfterMs }) => {
      await new Promise((resolve) => setTimeout(resolve, startsAfterMs));
      const readers = userIds.map((id) => ({ userId: id, minVersion: 0, fresh }));
      const outcomes = await live.predict({ ...place, timeoutMs, readers });
      expect([...outcomes.keys()]).toEqual(userIds);
      for (const [id, outcome] of outcomes) {
        if (outcome.kind !== 'predicted') continue;
        predicted++;
        expect([id, outcome.outputs.readFloatLE()]).toEqual([id, Math.fround(changesOf(id) / 10)]);
        expect([changesOf(id) === POISON, Number(id) > USERS]).toEqual([false, false]);
      }
    });
    await Promise.all(asked);
  });
  await fc.assert(property, { numRuns: 15, endOnFailure: true });
  expect(predicted).toBeGreaterThan(200);
});

function killChild(): void {
  const [pid] = world.inference.stats().pids;
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch {
    // The process has already ended.
  }
}
