import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import * as models from '@tandem/testing/onnx-models';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ProcessEnd, ProcessEnded } from '../process/inference-process.ts';
import { machineBusy } from '../process/time-limit.ts';
import { encodeInputs } from '../tensors/batch-tensors.ts';
import { cut, Pending, type Work } from './pending-requests.ts';
import { type LoneRow, PoisonRows } from './poison-rows.ts';
import type { InferencePool } from './pool.ts';
import { batchOf, letRunsBegin, matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';

const loop = matrixPredictor(models.loopModel(), 2);
const FOR_EVER = 2 ** 62;
const PATIENCE = 20_000;
const T = 400;

const other = matrixPredictor(models.linearModel({ weights: [1, 1] }), 2);
const SUSPECT_MS = 5_000;

/** Creates poison rows on a clock that the test sets. The test ends the runs of rows that run alone. */
function createWorld() {
  const clock = { now: 0 };
  const alone: { value: unknown; end(error?: Error): Promise<void> }[] = [];
  const poison = new PoisonRows({
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
  const workOf = (values: readonly number[], { version } = loop): Work => {
    const rows = values.map((_, row) => row);
    const batch = batchOf(
      version,
      values.map((value) => [value, 0]),
    );
    const inputs = encodeInputs(version.inputs, batch, rows);
    return { version, rows, inputs, outputs: ['score'], priority: 'live', timeoutMs: T };
  };
  /** Returns the refused values. */
  const refused = (values: readonly number[], model = loop) =>
    [...(poison.refusal(workOf(values, model))?.rows.keys() ?? [])].map((row) => values[row]);
  /** Ends a run. By default it has taken all its CPU. */
  const run = (values: readonly number[], why: ProcessEnd, { cpuMs = T, model = loop } = {}) => {
    const work = workOf(values, model);
    const parts = cut(new Pending(work, clock.now, () => {}), work, values.length);
    poison.failed(parts, new ProcessEnded('no answer', why, cpuMs));
    parts[0]?.request.settle([]);
  };
  return { clock, alone, poison, refused, run, workOf };
}

const crash = new ProcessEnded('it ended', 'crash');
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe('poison rows', () => {
  it('are refused, and run alone again after pauses that double', async () => {
    const { clock, alone, poison, refused, run, workOf } = createWorld();
    run([7], 'crash');
    const refusal = poison.refusal(workOf([1, 7]));
    expect(refusal).toBeInstanceOf(RowsRefused);
    expect(refusal?.rows.get(1)).toMatch(/hang or crash: .*no answer$/);
    expect(refusal?.retryAfter).toBe(10);
    clock.now += 9_999;
    expect([refused([1, 7]), alone.length]).toEqual([[7], 0]);
    clock.now += 1;
    expect([refused([1, 7]), alone.length]).toEqual([[7], 1]);
    await alone[0]?.end(crash);
    clock.now += 19_999;
    expect([refused([7]), alone.length]).toEqual([[7], 1]);
    clock.now += 1;
    expect([refused([7, 7]), alone.length]).toEqual([[7, 7], 2]);
    await alone[1]?.end();
    expect(refused([7])).toEqual([]);
  });

  it('take at most a tenth of one child with their retries, which do not delay those of another model', async () => {
    const { clock, alone, refused, run } = createWorld();
    for (const value of [1, 2]) run([value], 'crash');
    run([3], 'crash', { model: other });
    clock.now += 10_000;
    expect([refused([1, 2]), alone.length]).toEqual([[1, 2], 1]);
    clock.now += 2_000;
    await alone[0]?.end(crash);
    clock.now += 17_999;
    expect([refused([2]), alone.length]).toEqual([[2], 1]);
    expect([refused([3], other), alone.length]).toEqual([[3], 2]);
    await alone[1]?.end();
    clock.now += 1;
    expect([refused([2]), alone.length]).toEqual([[2], 3]);
  });

  it('of a model are at most 256, the latest; suspects and rows of other models replace none', () => {
    const { refused, run } = createWorld();
    run([1], 'crash', { model: other });
    for (const value of range(0, 300)) run([value], 'crash');
    for (const from of range(0, 10)) run(range(1_000 + 32 * from, 32), 'deadline');
    expect(refused([0, 43, 44, 299])).toEqual([44, 299]);
    expect(refused([1], other)).toEqual([1]);
  });

  it('are not rows whose child was killed from outside, or crashed with several rows', () => {
    const { alone, refused, run } = createWorld();
    run([1], 'killed');
    run([2, 3], 'crash');
    expect([refused([1, 2, 3]), alone.length]).toEqual([[], 0]);
  });

  it('are not rows whose child was killed from outside while they ran alone', async () => {
    const { clock, alone, refused, run } = createWorld();
    run([1, 2], 'deadline');
    await alone[0]?.end(new ProcessEnded('it was killed', 'killed'));
    await alone[1]?.end();
    clock.now += SUSPECT_MS + 1;
    expect(refused([1, 2])).toEqual([]);
  });

  it('are not rows whose child got too little CPU to prove a fault', async () => {
    const { alone, refused, run } = createWorld();
    run([1], 'deadline', { cpuMs: 0.02 * T });
    expect([refused([1]), alone.length]).toEqual([[], 0]);
    run([1, 2], 'deadline');
    const starved = new ProcessEnded('the machine is busy', 'starved', 0.02 * T);
    await alone[0]?.end(machineBusy('the machine is busy', starved));
    await alone[1]?.end();
    expect(refused([1, 2])).toEqual([]);
  });
});

describe('a poison row that was not read for long', () => {
  it('is still remembered if its lone run ends meanwhile', async () => {
    const { clock, alone, refused, run } = createWorld();
    run([7], 'crash');
    clock.now += 10_000;
    expect([refused([7]), alone.length]).toEqual([[7], 1]);
    clock.now += 600_001;
    refused([1]);
    await alone[0]?.end(crash);
    expect(refused([7])).toEqual([7]);
  });
});

describe('suspect rows', () => {
  it('take the places of released ones while a row runs alone for long', () => {
    const { clock, refused, run } = createWorld();
    run(range(1, 32), 'deadline');
    clock.now += SUSPECT_MS + 1;
    run([101, 102], 'deadline');
    expect(refused([2, 101, 102])).toEqual([101, 102]);
  });

  it('run alone, one at a time, and only those that hang again become poison rows', async () => {
    const { alone, refused, run } = createWorld();
    run([1, 2, 3], 'deadline');
    expect([refused([1, 2, 3, 4]), alone.length]).toEqual([[1, 2, 3], 1]);
    await alone[0]?.end();
    expect([refused([1, 2, 3, 4]), alone.length]).toEqual([[2, 3], 2]);
    await alone[1]?.end(crash);
    await alone[2]?.end();
    expect(alone.map(({ value }) => value)).toEqual([1, 2, 3]);
    expect(refused([1, 2, 3, 4])).toEqual([2]);
  });

  it('are not the rows of a run on a stalled machine', () => {
    const { alone, refused, run } = createWorld();
    run([1, 2, 3], 'deadline', { cpuMs: 0.02 * T });
    expect([refused([1, 2, 3]), alone.length]).toEqual([[], 0]);
  });

  it('are released after 5 s, except the row that runs alone', async () => {
    const { clock, alone, poison, refused, run, workOf } = createWorld();
    run([1, 2, 3], 'deadline');
    clock.now += SUSPECT_MS - 1;
    expect(refused([1, 2, 3])).toEqual([1, 2, 3]);
    expect(poison.refusal(workOf([1, 2]))?.retryAfter).toBe(5);
    clock.now += 1;
    expect(refused([1, 2, 3])).toEqual([1]);
    await alone[0]?.end();
    expect([refused([1, 2, 3]), alone.length]).toEqual([[], 1]);
  });

  it('are released if two in a row hang alone, or if the pool cannot run them; those of other models stay', async () => {
    const { alone, refused, run } = createWorld();
    run([1, 2, 3, 4], 'deadline');
    run([5, 6, 7], 'deadline', { model: other });
    await alone[0]?.end();
    await alone[1]?.end(crash);
    await alone[2]?.end(crash);
    const known = () => [refused([1, 2, 3, 4]), refused([5, 6, 7], other)];
    expect(known()).toEqual([
      [2, 3, 4],
      [5, 6, 7],
    ]);
    await alone[3]?.end(crash);
    expect(known()).toEqual([
      [2, 3],
      [5, 6, 7],
    ]);
    expect(alone.map(({ value }) => value)).toEqual([1, 2, 5, 3, 6]);
    await alone[4]?.end(new Error('the pool is closed'));
    expect([known(), alone.length]).toEqual([[[2, 3], [5]], 5]);
  });

  it('are not the rows of a run of more than 32, after which the runs of the model are smaller for a minute', () => {
    const { clock, alone, poison, refused, run } = createWorld();
    const MANY = range(0, 33);
    expect(poison.mostRows(loop.version)).toBe(Number.POSITIVE_INFINITY);
    run(MANY, 'deadline');
    expect([refused(MANY), alone.length]).toEqual([[], 0]);
    expect(poison.mostRows(loop.version)).toBe(32);
    expect(poison.mostRows(other.version)).toBe(Number.POSITIVE_INFINITY);
    clock.now += 60_000;
    expect(poison.mostRows(loop.version)).toBe(Number.POSITIVE_INFINITY);
    run(MANY.slice(1), 'deadline');
    expect(refused(MANY)).toEqual(MANY.slice(1));
  });
});

describe('a pool', () => {
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

  it('refuses no row of a run whose child was stopped', async () => {
    const onRestart = vi.fn();
    pool = poolOf([loop], { processes: 1, maxLostMs: Number.POSITIVE_INFINITY, killGraceMs: 50, onRestart });
    await pool.warmUp(loop.version);
    process.kill(pool.stats().pids[0] ?? 0, 'SIGSTOP');
    const read = (timeoutMs: number) => [1, 2].map((row) => scoresOf(pool, loop, [[1, row]], { timeoutMs }));
    await Promise.allSettled(read(T));
    await vi.waitFor(() => expect(onRestart).toHaveBeenCalledOnce(), PATIENCE);
    expect(await Promise.all(read(PATIENCE))).toEqual([[1], [2]]);
  }, 60_000);

  it('runs no row alone after it was closed during a run', async () => {
    pool = poolOf([loop]);
    await pool.warmUp(loop.version);
    const stuck = [1, 2].map((row) => scoresOf(pool, loop, [[FOR_EVER, row]]));
    const ended = Promise.allSettled(stuck);
    await letRunsBegin();
    await pool.close(0);
    await ended;
    await letRunsBegin();
    expect(pool.stats().waitingRows).toEqual({ live: 0, batch: 0 });
  });

  it('isolates a poison row of a request of many rows', async () => {
    pool = poolOf([loop], { maxLostMs: Number.POSITIVE_INFINITY, killGraceMs: 200 });
    await pool.warmUp(loop.version);
    const healthy = range(0, 100).map((row) => [1, row]);
    // A run is at most twice as large as the largest before it.
    for (const _ of range(0, 8)) await scoresOf(pool, loop, healthy);
    const rows = healthy.with(60, [FOR_EVER, 60]);
    const score = () => scoresOf(pool, loop, rows, { timeoutMs: 2 * T }).catch((error: unknown) => error);
    await vi.waitFor(async () => {
      const error = await score();
      expect(error).toBeInstanceOf(RowsRefused);
      expect([...(error as RowsRefused).rows.keys()]).toEqual([60]);
    }, 2 * PATIENCE);
  }, 60_000);
});
