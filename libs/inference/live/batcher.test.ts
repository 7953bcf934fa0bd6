import * as models from '@tandem/testing/onnx-models';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';

/** The score is the second feature. The first feature is the length of the run, in iterations of a loop. */
const loop = matrixPredictor(models.loopModel(), 2);
/** The score is a tenth of the feature. For a feature above nine, the run fails. */
const table = matrixPredictor(models.tableModel(), 1);
const pool = poolOf([loop, table], {
  killGraceMs: 50,
  maxLiveRows: 8,
  sliceRows: 4,
  maxLostMs: Number.POSITIVE_INFINITY,
});
afterAll(() => pool.close(0));

const turns = fc.oneof(
  { weight: 120, arbitrary: fc.constant(0) },
  { weight: 10, arbitrary: fc.constant(20_000) },
  { weight: 1, arbitrary: fc.constant(2 ** 62) },
);
const request = fc.record({
  model: fc.constantFrom('loop' as const, 'table' as const),
  turns: fc.array(turns, { minLength: 1, maxLength: 10 }),
  poison: fc.nat(20),
  priority: fc.constantFrom('live' as const, 'batch' as const),
  timeoutMs: fc.constantFrom(30, 200, 3_000),
});
const kill = fc.oneof({ weight: 30, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(30) });
const requests = fc.array(fc.record({ request, killAfter: kill }), {
  minLength: 5,
  maxLength: 40,
});

describe('batching', () => {
  it('never gives a user the answer of another, through concurrency, deadlines, failures and kills', async () => {
    let answered = 0;
    const property = fc.asyncProperty(requests, async (concurrent) => {
      const asked = concurrent.map(
        async ({ request: { model, turns: loops, poison, priority, timeoutMs }, killAfter }, i) => {
          // Every value occurs once, so that a wrong answer cannot be right by chance.
          const values =
            model === 'loop' ? loops.map((_, row) => i * 100 + row) : loops.map((_, row) => (i + row) % 10);
          const rows =
            model === 'loop'
              ? loops.map((turns, row) => [turns, values[row] ?? 0])
              : values.map((v) => [poison === 0 ? 99 : v]);
          if (killAfter !== null) setTimeout(killOne, killAfter, killAfter);
          // Requests with runs that never end get at most 200 ms.
          const limit = loops.some((turns) => turns > 1e9) && model === 'loop' ? Math.min(timeoutMs, 200) : timeoutMs;
          const scores = await scoresOf(pool, model === 'loop' ? loop : table, rows, {
            priority,
            timeoutMs: limit,
          }).catch(() => null);
          if (scores === null) return;
          answered += scores.length;
          expect(scores).toEqual(model === 'loop' ? values : values.map((value) => Math.fround(value / 10)));
        },
      );
      await Promise.all(asked);
    });
    await fc.assert(property, { numRuns: 25, endOnFailure: true });
    // A very busy machine answers few requests in time, so that more are needed. The test's time limit ends the loop.
    while (answered <= 50) await fc.assert(property, { numRuns: 5, endOnFailure: true });
  }, 120_000);
});

function killOne(seed: number): void {
  const { pids } = pool.stats();
  const pid = pids[seed % pids.length];
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch {
    // The child has already ended.
  }
}
