/** A candidate with a query that fails for one user is compared for all other users. */
import { randomUUID } from 'node:crypto';
import type { Answer } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { createPredictionWorld, PREDICTOR, type PredictionWorld } from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { performPass } from './shadow-pass.ts';

let world: PredictionWorld;
let answers: Answer[];
let served: ModelVersion;

beforeAll(async () => {
  world = await createPredictionWorld({ users: 20 });
  const userIds = Array.from({ length: 20 }, (_, i) => String(i + 1));
  const results = await world.createReader()(PREDICTOR, userIds, PLAIN_READ);
  answers = results.filter((result): result is Answer => !(result instanceof TandemError));
  const assignment = (await world.authority.certify([])).assignments(PREDICTOR)?.stable;
  served = await world.registry.modelVersion(assignment?.modelVersionId ?? '');
});
afterAll(() => world?.close());

async function pass(changes: string) {
  let statements = 0;
  const sql = `select user_id, ${changes} as changes from counts`;
  const { results } = await performPass(
    {
      features: {
        readUsers(...asked) {
          statements++;
          return world.features.readUsers(...asked);
        },
      },
      scorer: { score: (request) => world.inference.score(request), ready: async () => {} },
      now: () => performance.now(),
    },
    {
      version: { ...served, id: randomUUID(), query: { ...served.query, sql } },
      answers,
      yardstick: { output: null, threshold: null },
      segments: [],
      timeoutMs: 10_000,
    },
  );
  return { statements, outcomes: results.map(({ outcome }) => outcome) };
}

it('fails for that user alone', async () => {
  const { outcomes } = await pass('changes + 0 * (1 / (user_id - 7))::int');
  expect(answers).toHaveLength(20);
  expect(outcomes).toEqual(answers.map(({ userId }) => (userId === '7' ? 'failed' : 'compared')));
});

it('costs few statements if it fails for every user', async () => {
  const { statements, outcomes } = await pass('(1 / (user_id - user_id))::int');
  expect(new Set(outcomes)).toEqual(new Set(['failed']));
  expect(statements).toBeLessThanOrEqual(8);
});
