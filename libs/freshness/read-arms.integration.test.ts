import { createPredictionWorld, PREDICTOR, type PredictionWorld } from '@tandem/prediction/prediction-world.fixture';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from './answer.ts';
import { bucketOfUser } from './assignment.ts';
import { createPredictionMemory } from './prediction-memory.ts';
import { PLAIN_READ, type ReadOptions } from './read-options.ts';
import type { PredictionReader } from './reader.ts';
import type { CanaryPlan } from './rollout.ts';

const USERS = Array.from({ length: 120 }, (_, i) => `${i + 1}`);
const CHANGE = { actor: 'test', reason: 'a test' };
const PLAN: CanaryPlan = {
  kind: 'canary',
  version: 2,
  steps: [20, 50, 80, 100],
  coverage: 'required',
  analysis: {
    ...{ automatic: false, dryRun: false, intervalMs: 60_000, minStepMs: 0, minUsers: 100, alpha: 0.05 },
    guardrails: { errorRate: null, slowShare: null, slowMs: 100, liveShare: null, psi: null },
    outcomes: [],
  },
};

let world: PredictionWorld;
let rollouts: ReturnType<typeof createRolloutStore>;
/** Two processes, each with a separate memory. */
let readers: readonly PredictionReader[];

beforeAll(async () => {
  world = await createPredictionWorld({ users: USERS.length });
  await world.addSecondVersion();
  await world.run({ kind: 'all' });
  rollouts = createRolloutStore(world.pool);
  readers = [1, 2].map(() => world.createReader({ memory: createPredictionMemory({ maxBytes: 1e6 }) }));
});
afterAll(() => world?.close());

const begun = async () => {
  const { id } = await rollouts.create({ predictor: PREDICTOR, plan: PLAN, actor: 'test' });
  await world.run({ kind: 'all' }, {}, 'candidate');
  return rollouts.begin(id, CHANGE);
};

async function readAll(reader: PredictionReader, userIds = USERS, options: ReadOptions = PLAIN_READ) {
  return (await reader(PREDICTOR, userIds, options)) as Answer[];
}

/**
 * Returns the parts of an answer that reveal its arm. Scores of the second version are 0.5 or more; scores of the first
 * are lower.
 */
const versionShown = ({ prediction }: Answer) => (Number(prediction.score) >= 0.5 ? 2 : 1);

/** Checks that an answer belongs to one arm: version, generation, variant and score agree. */
function assertOneArm(answer: Answer): void {
  const { modelNumber, variant, generationNumber, source } = answer;
  const shown = versionShown(answer);
  expect({ modelNumber, variant }).toEqual({ modelNumber: shown, variant: shown === 2 ? 'candidate' : 'stable' });
  if (source === 'batch') expect(generationNumber).toBe(shown === 2 ? 2 : 1);
}

describe('reads while a canary grows', () => {
  it('each come from one arm in any batch, and a user of the candidate stays in that arm', async () => {
    const rollout = await begun();
    let candidates: readonly string[] = [];
    for (const percent of [20, 50, 80]) {
      for (const reader of readers) {
        const answers = await readAll(reader);
        answers.forEach(assertOneArm);
        expect(answers.map(({ userId }) => userId)).toEqual(USERS);
        expect(answers.every(({ source, reason }) => source === 'batch' && reason === 'fresh')).toBe(true);
        const now = answers.filter(({ variant }) => variant === 'candidate').map(({ userId }) => userId);
        expect(now).toEqual(expect.arrayContaining([...candidates]));
        // The salt is random, so the share of so few users varies. The users below the percentage do not.
        expect(now).toEqual(USERS.filter((userId) => bucketOfUser(rollout.salt, userId) < percent * 100));
        // Reads of single users return the same answers.
        for (const userId of USERS.slice(0, 20))
          expect((await readAll(reader, [userId]))[0]?.variant).toBe(now.includes(userId) ? 'candidate' : 'stable');
        candidates = now;
      }
      if (percent < 80) await rollouts.advance(rollout.id, CHANGE);
    }
    await rollouts.abort(rollout.id, CHANGE);
    for (const reader of readers) {
      const answers = await readAll(reader);
      expect(
        answers.map(({ variant, modelNumber, generationNumber }) => [variant, modelNumber, generationNumber]),
      ).toEqual(USERS.map(() => ['stable', 1, 1]));
      expect(answers.every((answer) => versionShown(answer) === 1)).toBe(true);
    }
  });

  it('never mix arms or serve an aborted arm, while rollouts begin, grow and are aborted', async () => {
    let isOver = false;
    let reads = 0;
    /** Intervals on this clock in which the candidate may serve no user. */
    const quiet: { from: number; to: number }[] = [];
    const seen: { from: number; to: number; answers: readonly Answer[] }[] = [];
    const reading = readers.map(async (reader, i) => {
      for (let n = i; !isOver; n++) {
        const options = n % 7 === 0 ? { ...PLAIN_READ, noCache: true } : PLAIN_READ;
        const userIds = USERS.filter((_, at) => (at + n) % 3 === 0);
        const from = performance.now();
        const answers = await readAll(reader, userIds, options);
        seen.push({ from, to: performance.now(), answers });
        reads++;
      }
    });
    for (let round = 0; round < 6; round++) {
      const { id } = await rollouts.create({
        predictor: PREDICTOR,
        plan: { ...PLAN, coverage: 'live' },
        actor: 'test',
      });
      await rollouts.begin(id, CHANGE);
      for (let step = 0; step < round % 3; step++) await rollouts.advance(id, CHANGE);
      await world.change(USERS[round] ?? '1');
      const before = reads;
      while (reads < before + 4) await new Promise((resolve) => setImmediate(resolve));
      await rollouts.abort(id, CHANGE);
      const from = performance.now();
      const then = reads;
      while (reads < then + 4) await new Promise((resolve) => setImmediate(resolve));
      quiet.push({ from, to: performance.now() });
    }
    isOver = true;
    await Promise.all(reading);
    const answers = seen.flatMap((read) => read.answers);
    answers.forEach((answer) => {
      const shown = versionShown(answer);
      expect([answer.modelNumber, answer.variant]).toEqual([shown, shown === 2 ? 'candidate' : 'stable']);
    });
    expect(new Set(answers.map(({ variant }) => variant))).toEqual(new Set(['stable', 'candidate']));
    const afterAborts = seen.filter(({ from, to }) => quiet.some((one) => from > one.from && to < one.to));
    expect(afterAborts.length).toBeGreaterThan(5);
    expect(afterAborts.flatMap((read) => read.answers).filter(({ variant }) => variant !== 'stable')).toEqual([]);
  });
});
