/** Tests of inference on rows that callers filled: each caller gets only the outputs of its own rows. */
import * as models from '@tandem/testing/onnx-models';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { TensorData } from '../process/protocol.ts';
import type { EncodedInput } from '../tensors/batch-tensors.ts';
import { batchOf, letRunsBegin, matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';

const FOR_EVER = 2 ** 62;
/** Iterations of the loop model that take about 0.1 s. */
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
  // The tests of runs that never end would otherwise pause the model.
  maxLostMs: Number.POSITIVE_INFINITY,
});
afterAll(() => pool.close(0));
vi.setConfig({ testTimeout: 60_000 });

const TIME = { timeoutMs: 20_000, runTimeoutMs: 20_000 };
const matrix = (data: TensorData, width: number, type: EncodedInput['type'] = 'float32'): EncodedInput[] => [
  { name: 'features', type, width, data },
];

describe('infer', () => {
  it('returns the requested outputs in their own types and shapes, whether or not the predictor maps them', async () => {
    const { version } = classifier;
    const inputs = matrix(Float32Array.of(-50, 50, 50), 1);
    const outputs = await pool.infer({ version, inputs, rows: 3, outputs: ['label', 'probabilities'], ...TIME });
    expect(outputs).toEqual([
      { name: 'label', type: 'int64', dims: [3], data: BigInt64Array.of(0n, 1n, 1n) },
      { name: 'probabilities', type: 'float32', dims: [3, 2], data: Float32Array.of(1, 0, 0, 1, 0, 1) },
    ]);
  });

  it('returns float16 as bits', async () => {
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

  it('runs rows of several callers and live reads together, and returns each caller’s answers in order', async () => {
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

  it('runs a request that must be alone without rows of others', async () => {
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

  it('queues one run of a request at a time, so that there is room for live reads', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 2]], { timeoutMs: 1_000 }).catch((error: unknown) => error);
    await letRunsBegin();
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ idle: 0, waitingRows: { live: 0 } }));
    const rows = 300;
    const data = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? 0 : i));
    const many = pool.infer({ version, inputs: matrix(data, 2), rows, outputs: ['score'], ...TIME });
    expect(pool.stats().waitingRows.live).toBeLessThanOrEqual(8);
    expect(await stuck).toMatchObject({ code: 'live_timeout' });
    expect(await many).toMatchObject([{ dims: [rows, 1], data: data.filter((_, i) => i % 2 === 1) }]);
  });

  it('ends a run that a live read makes hang, even if another request in it has a long timeout', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 3]], { timeoutMs: 2_000 }).catch((error: unknown) => error);
    const inputs = matrix(Float32Array.of(0, 7), 2);
    const time = { timeoutMs: 50_000, runTimeoutMs: 2_000 };
    const good = pool.infer({ version, inputs, rows: 1, outputs: ['score'], ...time });
    expect(await good).toMatchObject([{ data: Float32Array.of(7) }]);
    expect(await stuck).toMatchObject({ code: 'live_timeout' });
  });

  it('rejects a request if its outputs exceed 16 MiB', async () => {
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
      message: expect.stringContaining('exceed 16 MiB'),
    });
  });

  it('removes a request when its caller has disconnected', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 4]], { timeoutMs: 1_000 }).catch((error: unknown) => error);
    await letRunsBegin();
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

  it('removes the rows of a read whose caller has disconnected', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 5]], { timeoutMs: 1_000 }).catch((error: unknown) => error);
    await letRunsBegin();
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

  it('completes the running rows of a read when its caller goes, since the answer serves the next reader', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    let leave = () => {};
    const onGone = (tell: () => void) => {
      leave = tell;
    };
    const batch = batchOf(version, [[5 * A_WHILE, 1]]);
    const request = { version, batch, rows: [0], timeoutMs: 20_000, priority: 'live' } as const;
    const scoring = pool.score({ ...request, onGone });
    await letRunsBegin();
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ idle: 0, waitingRows: { live: 0 } }));
    leave();
    expect(await scoring).toMatchObject({ tensors: { score: { data: Float32Array.of(1) } } });
  });

  it('does not queue rows for a caller that has already gone, and continues to serve', async () => {
    const { version } = loop;
    await pool.warmUp(version);
    const inputs = matrix(Float32Array.of(0, 1), 2);
    const ask = (onGone: (tell: () => void) => void) =>
      pool.infer({ version, inputs, rows: 1, outputs: ['score'], ...TIME, onGone });
    const gone = ask((tell) => tell());
    // Rows that stayed in the queue after their time would be examined forever, and nothing else would run.
    expect(pool.stats().waitingRows.live).toBe(0);
    await expect(gone).rejects.toMatchObject({ code: 'caller_gone' });
    expect(await ask(() => {})).toMatchObject([{ data: Float32Array.of(1) }]);
  });

  it('runs thousands of rows of a model that seems too slow, since it has only run single rows', async () => {
    const { version } = loop;
    const other = poolOf([loop], { processes: 1 });
    // One row takes 0.1 s, so thousands of rows seem to take minutes.
    await scoresOf(other, loop, [[A_WHILE, 1]]);
    const rows = 3_000;
    expect(other.room(version, 10_000)).toBeLessThan(rows);
    const data = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? 0 : i));
    const request = { version, inputs: matrix(data, 2), rows, outputs: ['score'] };
    const [score] = await other.infer({ ...request, timeoutMs: 60_000, runTimeoutMs: 10_000 });
    expect(score).toMatchObject({ dims: [rows, 1], data: data.filter((_, i) => i % 2 === 1) });
    await other.close(0);
  });

  it('ends a run at its own limit, even if its caller would wait longer', async () => {
    const { version } = loop;
    const inputs = matrix(Float32Array.of(FOR_EVER, 6), 2);
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

  it('names a refused row by its place in the request, whichever run it is in', async () => {
    const { version } = loop;
    const hangs = matrix(Float32Array.of(FOR_EVER, 7), 2);
    const time = { timeoutMs: 20_000, runTimeoutMs: 500 };
    await pool.infer({ version, inputs: hangs, rows: 1, outputs: ['score'], ...time }).catch(() => {});
    const rows = 20;
    const data = new Float32Array(2 * rows);
    data.set([FOR_EVER, 7], 2 * (rows - 1));
    const many = pool.infer({ version, inputs: matrix(data, 2), rows, outputs: ['score'], ...TIME });
    await expect(many).rejects.toMatchObject({ code: 'live_failed', rows: new Map([[19, expect.any(String)]]) });
  });
});
