import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import * as models from '@tandem/testing/onnx-models';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ProcessEnd, ProcessEnded } from '../process/inference-process.ts';
import { machineBusy } from '../process/time-limit.ts';
import { encodeInputs } from '../tensors/batch-tensors.ts';
import { createPoisonRows, type LoneRow } from './poison-rows.ts';
import type { InferencePool } from './pool.ts';
import { batchOf, matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';
import { createPending, cut, type Work } from './waiting-requests.ts';

const loop = matrixPredictor(models.loopModel(), 2);
const FOR_EVER = 2 ** 62;
const PATIENCE = 20_000;
const T = 400;

/** Creates poison rows on a clock that the test sets. The test ends the runs of rows that run alone. */
function createWorld() {
  const clock = { now: 0 };
  const alone: { value: unknown; end(error?: Error): Promise<void> }[] = [];
  const poison = createPoisonRows({
    now: () => clock.now,
    runAlone({ inputs }: LoneRow) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const end = async (error?: Error) => {
        if (error) reject(error);
        else resolve();
        await new Promise((done) => setImmediate(done));
      };
      alone.push({ value: inputs[0]?.data[0], end });
      return promise;
    },
  });
  const workOf = (values: readonly number[]): Work => {
    const { version } = loop;
    const rows = values.map((_, row) => row);
    const batch = batchOf(
      version,
      values.map((value) => [value, 0]),
    );
    const inputs = encodeInputs(version.inputs, batch, rows);
    return { version, rows, inputs, outputs: ['score'], priority: 'live', timeoutMs: T };
  };
  /** Returns the rejected values. */
  const refused = (...values: readonly number[]) =>
    [...(poison.refusal(workOf(values))?.rows.keys() ?? [])].map((row) => values[row]);
  const run = (values: readonly number[], why: ProcessEnd, cpuMs?: number) => {
    const work = workOf(values);
    const parts = cut(
      createPending(work, clock.now, () => {}),
      work,
      values.length,
    );
    poison.failed(parts, new ProcessEnded('no answer', why, cpuMs), T + 1_000);
    parts[0]?.request.settle([]);
  };
  return { clock, alone, poison, refused, run, workOf };
}

const crash = new ProcessEnded('it ended', 'crash');

describe('rows of live runs', () => {
  it('are rejected after they ended their process alone, and run alone again after pauses that double', async () => {
    const { clock, alone, poison, refused, run, workOf } = createWorld();
    run([7], 'crash');
    expect(poison.refusal(workOf([1, 7]))).toBeInstanceOf(RowsRefused);
    expect(poison.refusal(workOf([1, 7]))?.rows.get(1)).toMatch(/hang or crash: .*no answer$/);
    clock.now += 9_999;
    expect([refused(1, 7), alone.length]).toEqual([[7], 0]);
    clock.now += 1;
    expect([refused(1, 7), alone.length]).toEqual([[7], 1]);
    await alone[0]?.end(crash);
    clock.now += 19_999;
    expect([refused(7), alone.length]).toEqual([[7], 1]);
    clock.now += 1;
    expect([refused(7, 7), alone.length]).toEqual([[7, 7], 2]);
    await alone[1]?.end();
    expect(refused(7)).toEqual([]);
  });

  it('that hung together run alone, one at a time, and only those that hang again stay rejected', async () => {
    const { alone, refused, run } = createWorld();
    run([1, 2, 3], 'deadline', T);
    expect([refused(1, 2, 3, 4), alone.length]).toEqual([[1, 2, 3], 1]);
    await alone[0]?.end();
    expect([refused(1, 2, 3, 4), alone.length]).toEqual([[2, 3], 2]);
    await alone[1]?.end(crash);
    await alone[2]?.end();
    expect(alone.map(({ value }) => value)).toEqual([1, 2, 3]);
    expect(refused(1, 2, 3, 4)).toEqual([2]);
  });

  it('may run again if two rows in a row hang alone, or if the pool cannot run them', async () => {
    const { alone, refused, run } = createWorld();
    run([1, 2, 3, 4], 'deadline', T);
    await alone[0]?.end(crash);
    await alone[1]?.end(crash);
    expect([refused(1, 2, 3, 4), alone.length]).toEqual([[1, 2], 2]);
    run([3, 4], 'deadline', T);
    await alone[2]?.end(new Error('the pool is closed'));
    await alone[3]?.end(new Error('the pool is closed'));
    expect([refused(1, 2, 3, 4), alone.length]).toEqual([[1, 2], 4]);
  });

  it('are not suspects if their child was killed from outside, or crashed with several rows', () => {
    const { alone, refused, run } = createWorld();
    run([1], 'killed');
    run([2, 3], 'crash');
    expect([refused(1, 2, 3), alone.length]).toEqual([[], 0]);
  });

  it('are not poison if their child got too little CPU to prove a fault', async () => {
    const { alone, refused, run } = createWorld();
    run([1], 'deadline', 0.02 * T);
    expect([refused(1), alone.length]).toEqual([[], 0]);
    run([1, 2], 'deadline', 0.02 * T);
    const starved = new ProcessEnded('the machine is busy', 'starved', 0.02 * T);
    await alone[0]?.end(machineBusy('the machine is busy', starved));
    await alone[1]?.end();
    expect(refused(1, 2)).toEqual([]);
  });

  it('that are poison take at most a tenth of one child', async () => {
    const { clock, alone, refused, run } = createWorld();
    run([1], 'crash');
    run([2], 'crash');
    clock.now += 10_000;
    expect([refused(1, 2), alone.length]).toEqual([[1, 2], 1]);
    clock.now += 2_000;
    await alone[0]?.end(crash);
    clock.now += 17_999;
    expect([refused(2), alone.length]).toEqual([[2], 1]);
    clock.now += 1;
    expect([refused(2), alone.length]).toEqual([[2], 2]);
  });

  it('are at most 256, the latest', () => {
    const { refused, run } = createWorld();
    for (let value = 0; value < 300; value++) run([value], 'crash');
    expect(refused(0, 43, 44, 299)).toEqual([44, 299]);
  });
});

describe('a pool with two children', () => {
  let pool: InferencePool;
  afterEach(() => pool.close(0));

  it('runs each row of a run that hung alone, rejects those that hang again, and answers the others', async () => {
    const onRestart = vi.fn();
    pool = poolOf([loop], { maxLostMs: Number.POSITIVE_INFINITY, killGraceMs: 200, onRestart });
    await pool.warmUp(loop.version);
    const stuck = [
      [FOR_EVER, 1],
      [1, 2],
      [FOR_EVER, 3],
    ].map((row) => scoresOf(pool, loop, [row], { timeoutMs: T }));
    const late = { reason: { code: 'live_timeout' } };
    expect(await Promise.allSettled(stuck)).toMatchObject([late, late, late]);
    // One for the run, and one for each of its rows that hang.
    await vi.waitFor(() => expect(onRestart).toHaveBeenCalledTimes(3), PATIENCE);
    const poison = () => scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: T }).catch((error: unknown) => error);
    await vi.waitFor(async () => expect(await scoresOf(pool, loop, [[1, 2]])).toEqual([2]), PATIENCE);
    await vi.waitFor(async () => expect(await poison()).toMatchObject({ code: 'live_failed' }), PATIENCE);
  }, 60_000);
});
