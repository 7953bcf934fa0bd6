/** Inference of rows that callers filled: each gets the outputs of its own rows, and of no others. */
import * as models from '@tandem/testing/onnx-models';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { TensorData } from '../process/protocol.ts';
import type { EncodedInput } from '../tensors/batch-tensors.ts';
import { batchOf, matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';

const FOR_EVER = 2 ** 62;
/** Turns of the loop model that take about a tenth of a second. */
const A_WHILE = 130_000;
const classifier = matrixPredictor(models.classifierModel(), 1, {
  outputs: [{ name: 'score', output: 'probabilities', type: 'float32', width: null, index: 1 }],
});
const loop = matrixPredictor(models.loopModel(), 2);
const halves = matrixPredictor(models.echoModel('float16', 2), 2, { type: 'float16' });
const gram = matrixPredictor(models.gramModel(), 1);
const wide = matrixPredictor(models.echoModel('float32', 16_384), 16_384);
const pool = poolOf([classifier, loop, halves, gram, wide], {
  processes: 1,
  killGraceMs: 50,
  maxLiveRows: 8,
  // Tests of runs that never end lose more than a model may before it backs off.
  maxLostMs: Number.POSITIVE_INFINITY,
});
afterAll(() => pool.close(0));
vi.setConfig({ testTimeout: 60_000 });

const TIME = { timeoutMs: 20_000, runTimeoutMs: 20_000 };
const matrix = (data: TensorData, width: number, type: EncodedInput['type'] = 'float32'): EncodedInput[] => [
  { name: 'features', type, width, data },
];

describe('infer', () => {
  it('gives the outputs that are asked for, in their own types and shapes, mapped by the predictor or not', async () => {
    const { version } = classifier;
    const inputs = matrix(Float32Array.of(-50, 50, 50), 1);
    const outputs = await pool.infer({ version, inputs, rows: 3, outputs: ['label', 'probabilities'], ...TIME });
    expect(outputs).toEqual([
      { name: 'label', type: 'int64', dims: [3], data: BigInt64Array.of(0n, 1n, 1n) },
      { name: 'probabilities', type: 'float32', dims: [3, 2], data: Float32Array.of(1, 0, 0, 1, 0, 1) },
    ]);
  });

  it('leaves halves as their bits', async () => {
    const { version } = halves;
    const bits = Uint16Array.of(0x3c00, 0x7e00, 0xfc00, 0x0001);
    const [score] = await pool.infer({
      version,
      inputs: matrix(bits, 2, 'float16'),
      rows: 2,
      outputs: ['score'],
      ...TIME,
    });
    expect(score).toEqual({ name: 'score', type: 'float16', dims: [2, 2], data: bits });
  });

  it('runs rows of several callers and live reads together, each with its own answer, in the order of its rows', async () => {
    const { version } = loop;
    const asked = Array.from({ length: 40 }, async (_, i) => {
      const rows = 1 + (i % 11);
      const values = Array.from({ length: rows }, (_, row) => i * 100 + row);
      if (i % 2 === 0) {
        return expect(
          await scoresOf(
            pool,
            loop,
            values.map((value) => [0, value]),
          ),
        ).toEqual(values);
      }
      const data = Float32Array.from(values.flatMap((value) => [0, value]));
      const [score] = await pool.infer({ version, inputs: matrix(data, 2), rows, outputs: ['score'], ...TIME });
      expect(score).toMatchObject({ dims: [rows, 1], data: Float32Array.from(values) });
    });
    await Promise.all(asked);
  });

  it('runs a request that must be alone without rows of others, as if an output may mix rows', async () => {
    const { version } = gram;
    const ask = (value: number) =>
      pool.infer({
        ...{ version, inputs: matrix(Float32Array.of(value), 1), rows: 1, outputs: ['score'] },
        ...{ ...TIME, isAlone: true },
      });
    const answers = await Promise.all([ask(2), ask(3), ask(5)]);
    expect(answers.map(([score]) => score)).toMatchObject(
      [4, 9, 25].map((n) => ({ dims: [1, 1], data: Float32Array.of(n) })),
    );
  });

  it('has one run of a request in the line at a time, so that live reads find room', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 1_000 }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ idle: 0, waitingRows: { live: 0 } }));
    const rows = 300;
    const data = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? 0 : i));
    const many = pool.infer({ version, inputs: matrix(data, 2), rows, outputs: ['score'], ...TIME });
    expect(pool.stats().waitingRows.live).toBeLessThanOrEqual(8);
    expect(await stuck).toMatchObject({ code: 'live_timeout' });
    expect(await many).toMatchObject([{ dims: [rows, 1], data: data.filter((_, i) => i % 2 === 1) }]);
  });

  it('ends a run that hangs because of a live read, though a request in it would wait for long', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 250 }).catch((error: unknown) => error);
    const inputs = matrix(Float32Array.of(0, 7), 2);
    const time = { timeoutMs: 30_000, runTimeoutMs: 250 };
    const good = pool.infer({ version, inputs, rows: 1, outputs: ['score'], ...time });
    expect(await good).toMatchObject([{ data: Float32Array.of(7) }]);
    expect(await stuck).toMatchObject({ code: 'live_timeout' });
  });

  it('gives up where the outputs of a request take more than 16 MiB', async () => {
    const { version } = wide;
    const ask = (rows: number) =>
      pool.infer({
        version,
        inputs: matrix(new Float32Array(16_384 * rows), 16_384),
        rows,
        outputs: ['score'],
        ...TIME,
      });
    expect(await ask(256)).toMatchObject([{ dims: [256, 16_384] }]);
    await expect(ask(257)).rejects.toMatchObject({
      code: 'output_unusable',
      message: expect.stringContaining('more than 16 MiB'),
    });
  });

  it('leaves its line when its caller has gone', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 1_000 }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ idle: 0, waitingRows: { live: 0 } }));
    let leave = () => {};
    const onGone = (tell: () => void) => {
      leave = tell;
    };
    const inputs = matrix(Float32Array.of(0, 1), 2);
    const gone = pool.infer({ version, inputs, rows: 1, outputs: ['score'], ...TIME, onGone });
    expect(pool.stats().waitingRows.live).toBe(1);
    leave();
    await expect(gone).rejects.toMatchObject({ code: 'caller_gone' });
    expect(pool.stats().waitingRows.live).toBe(0);
    expect(await stuck).toMatchObject({ code: 'live_timeout' });
  });

  it('removes the rows of a read whose caller has gone', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 1_000 }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ idle: 0, waitingRows: { live: 0 } }));
    const batch = batchOf(version, new Array(300).fill([0, 1]));
    let leave = () => {};
    const onGone = (tell: () => void) => {
      leave = tell;
    };
    const request = { version, batch, rows: [...batch.userIds.keys()], timeoutMs: 20_000, priority: 'live' } as const;
    const gone = pool.score({ ...request, onGone });
    expect(pool.stats().waitingRows.live).toBeGreaterThan(0);
    leave();
    await expect(gone).rejects.toMatchObject({ code: 'caller_gone' });
    expect(pool.stats().waitingRows.live).toBe(0);
    expect(await stuck).toMatchObject({ code: 'live_timeout' });
  });

  it('completes the rows of a read that are run when its caller goes: the answer serves the next reader', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    let leave = () => {};
    const onGone = (tell: () => void) => {
      leave = tell;
    };
    const batch = batchOf(version, [[5 * A_WHILE, 1]]);
    const request = { version, batch, rows: [0], timeoutMs: 20_000, priority: 'live' } as const;
    const scoring = pool.score({ ...request, onGone });
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ idle: 0, waitingRows: { live: 0 } }));
    leave();
    expect(await scoring).toMatchObject({ tensors: { score: { data: Float32Array.of(1) } } });
  });

  it('lets nothing wait for a caller who has gone before its rows came, and serves on', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const inputs = matrix(Float32Array.of(0, 1), 2);
    const ask = (onGone: (tell: () => void) => void) =>
      pool.infer({ version, inputs, rows: 1, outputs: ['score'], ...TIME, onGone });
    const gone = ask((tell) => tell());
    // What waits here for good would be looked at for ever once its time is over, and nothing else would run.
    expect(pool.stats().waitingRows.live).toBe(0);
    await expect(gone).rejects.toMatchObject({ code: 'caller_gone' });
    expect(await ask(() => {})).toMatchObject([{ data: Float32Array.of(1) }]);
  });

  it('runs thousands of rows of a model that seems too slow for them, as it has only run single rows', async () => {
    const { version } = loop;
    const other = poolOf([loop], { processes: 1 });
    // A tenth of a second for one row: thousands of them seem to take minutes.
    await scoresOf(other, loop, [[A_WHILE, 1]]);
    const rows = 3_000;
    expect(other.room(version, 10_000)).toBeLessThan(rows);
    const data = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? 0 : i));
    const request = { version, inputs: matrix(data, 2), rows, outputs: ['score'] };
    const [score] = await other.infer({ ...request, timeoutMs: 60_000, runTimeoutMs: 1_000 });
    expect(score).toMatchObject({ dims: [rows, 1], data: data.filter((_, i) => i % 2 === 1) });
    await other.close(0);
  });

  it('ends a run at its own limit, however long its caller would wait', async () => {
    const { version } = loop;
    const inputs = matrix(Float32Array.of(FOR_EVER, 1), 2);
    const endless = pool.infer({
      version,
      inputs,
      rows: 1,
      outputs: ['score'],
      timeoutMs: 600_000,
      runTimeoutMs: 100,
    });
    await expect(endless).rejects.toThrow('no answer within 150 ms');
  });
});
