/**
 * Tests of models with one fault: they are rejected with a helpful message, and a valid model is still served. More of
 * them are in the corpus of test/rigs/hostile/models.test.ts.
 */
import * as hostile from '@tandem/testing/hostile-models';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkModel, inspectModel } from '../admission/check-model.ts';
import { batchOf, matrixPredictor, poolOf, scoresOf, type ToyPredictor } from './toy-predictor.fixture.ts';

const LIMITS = { memoryLimitMb: 256, field: 'predictors.toy.model' };
const sound = matrixPredictor(linearModel({ weights: [1, -1] }), 2);
const pool = poolOf([sound], { processes: 1 });
const served: number[] = [];
let expected: number[] = [];
let serving: Promise<void>;
let isOver = false;

beforeAll(async () => {
  expected = await scoresOf(pool, sound, [[0.5, 2]]);
  serving = (async () => {
    while (!isOver) {
      served.push(...(await scoresOf(pool, sound, [[0.5, 2]], { timeoutMs: 20_000 })));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
});

afterAll(async () => {
  isOver = true;
  await serving;
  await pool.close();
  expect(served.length).toBeGreaterThan(0);
  expect(new Set(served)).toEqual(new Set(expected));
});

const rowByRow = ({ version, bytes }: ToyPredictor): ToyPredictor => ({
  version: { ...version, rowByRow: true },
  bytes,
});
describe('a model with a fault', { timeout: 120_000 }, () => {
  it('is refused for a name of 1,000 characters', async () => {
    const error = await inspectModel(hostile.namedOutputModel('x'.repeat(1_000)), LIMITS).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'model_refused',
      field: 'predictors.toy.model',
      message: expect.stringContaining('a name of 1000 characters'),
      remedy: expect.stringContaining('at most 256'),
    });
  });

  it('is refused for random answers, also with rowByRow', async () => {
    const { version, bytes } = rowByRow(matrixPredictor(hostile.randomModel(), 2));
    const error = await checkModel(version, bytes, LIMITS).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining("the model's answers are random"),
      remedy: expect.stringContaining('model.eval()'),
    });
  });

  it('is served row by row if its rows depend on one another, or if it takes one row at a time', async () => {
    for (const bytes of [
      hostile.batchScaledModel(),
      hostile.reversedModel(),
      linearModel({ weights: [1, -1], batch: 1 }),
    ]) {
      const { version } = rowByRow(matrixPredictor(bytes, 2));
      const { parity } = await checkModel(version, bytes, LIMITS);
      expect(parity).toMatchObject({ batchSizes: [1], tolerance: 0, largestDifference: null });
    }
  });

  it('is served by index if it declares no shape', async () => {
    const { version, bytes } = matrixPredictor(hostile.undeclaredShapeModel(), 2);
    const { parity, cost } = await checkModel(version, bytes, LIMITS);
    expect(parity).toMatchObject({ users: { real: 0, madeUp: 64 }, batchSizes: [1, 2, 3, 7, 64, 1_024] });
    expect(cost).toMatchObject({ batchSize: 1_024, aloneMs: expect.any(Number), perUserUs: expect.any(Number) });
  });

  it('is refused before it is read if the bytes are not those of the definition', async () => {
    const { version } = matrixPredictor(hostile.endlessModel(), 2);
    await expect(checkModel(version, sound.bytes, LIMITS)).rejects.toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining('the model file differs from the registered artifact'),
      remedy: expect.stringContaining('the file is complete'),
    });
  });

  it('is also tried with real users, and not served if none of them gets an answer', async () => {
    const { version, bytes } = sound;
    const sample = batchOf(
      version,
      Array.from({ length: 100 }, (_, i) => [i, i / 2]),
    );
    expect((await checkModel(version, bytes, { ...LIMITS, sample })).parity.users).toEqual({ real: 64, madeUp: 64 });
    const nobody = batchOf(version, [
      [null, 1],
      [1, null],
    ]);
    await expect(checkModel(version, bytes, { ...LIMITS, sample: nobody })).rejects.toMatchObject({
      message: expect.stringContaining('for each real user'),
    });
  });
});
