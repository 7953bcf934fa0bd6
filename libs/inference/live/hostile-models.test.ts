/** What becomes of models that do one thing wrong: refused with a sentence that helps, while a sound one is served. */
import * as hostile from '@tandem/testing/hostile-models';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkModel, inspectModel } from '../admission/check-model.ts';
import { cpuLimit } from '../process/time-limit.ts';
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
const textScore = [{ name: 'score', output: 'score', type: 'float32' as const, width: null, index: 0 }];

describe('a model that cannot be loaded, or takes or gives what nobody can use', { timeout: 120_000 }, () => {
  it.each<[string, Buffer, string, string]>([
    [
      'an unknown operator',
      hostile.unknownOperatorModel(),
      'No Op registered for NoSuchOperator',
      'operators that ONNX Runtime',
    ],
    ['a tensor that nothing makes', hostile.danglingModel(), "'ghost' is not a graph input", 'onnx.checker'],
    ['a split that leads to itself', hostile.cyclicTreeModel(1), 'cannot point to itself', 'Export it again'],
    [
      'no inputs',
      hostile.noInputsModel(),
      'takes no inputs, so every user would get one answer',
      'Export the model again',
    ],
    ['no outputs', hostile.noOutputsModel(), 'gives no outputs', 'Export the model again'],
    ['thousands of inputs', hostile.manyInputsModel(4_096), '4096 inputs and 1 outputs', 'one matrix of features'],
    [
      'a name that would reach a terminal',
      hostile.namedOutputModel('\u001b[2J'),
      'begins with "\\u001b[2J"',
      'control characters',
    ],
    ['a name of a kilobyte', hostile.namedOutputModel('x'.repeat(1_000)), 'a name of 1000 characters', 'at most 256'],
  ])('is refused for %s', async (_, bytes, text, remedy) => {
    const error = await inspectModel(bytes, LIMITS).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'model_refused',
      field: 'predictors.toy.model',
      message: expect.stringContaining(text),
      remedy: expect.stringContaining(remedy),
    });
  });
});

describe('a model that does not do what it should', { timeout: 120_000 }, () => {
  it.each<[string, ToyPredictor, string, string]>([
    ['a tree that leads in a circle', matrixPredictor(hostile.cyclicTreeModel(2), 2), 'the model', 'Export it again'],
    [
      'a split by a feature that is not there',
      matrixPredictor(hostile.farFeatureModel(), 2),
      'requests feature 100000000',
      'in Python',
    ],
    ['an input that nothing fills', matrixPredictor(hostile.twoInputsModel(), 2), 'balance', 'balance'],
    [
      'texts for numbers',
      matrixPredictor(hostile.textOutputModel(), 2, { outputs: textScore }),
      'is declared float32',
      "'string'",
    ],
    [
      'one answer for all',
      matrixPredictor(hostile.scalarModel(), 2),
      'gave one value of output score',
      'one finite answer',
    ],
    ['a sequence', matrixPredictor(hostile.sequenceModel(), 2), 'a sequence of maps, or of tensors', 'zipmap'],
    [
      'a row too many',
      matrixPredictor(hostile.oneMoreModel(), 2),
      'gave 2 rows of output score for 1 user',
      'one finite answer',
    ],
    ['rows in reverse', matrixPredictor(hostile.reversedModel(), 2), 'depends on which other users', 'rowByRow: true'],
    ['answers by lot', matrixPredictor(hostile.randomModel(), 2), "the model's answers are random", 'model.eval()'],
    [
      'answers by a lot that is fixed',
      matrixPredictor(hostile.randomModel(7), 2),
      "the model's answers are random",
      'model.eval()',
    ],
    [
      'answers by lot, row by row',
      rowByRow(matrixPredictor(hostile.randomModel(), 2)),
      "the model's answers are random",
      'model.eval()',
    ],
    [
      'a scale over the batch',
      matrixPredictor(hostile.batchScaledModel(), 2),
      'depends on which other users',
      'rowByRow: true in predictors.toy',
    ],
    [
      'NaN for everybody',
      matrixPredictor(hostile.neverFiniteModel(Number.NaN), 2),
      'with every user: output score is NaN',
      'one finite answer',
    ],
    [
      'infinity for everybody',
      matrixPredictor(hostile.neverFiniteModel(Number.POSITIVE_INFINITY), 2),
      'output score is Infinity',
      'one finite answer',
    ],
    [
      '50 GB at once',
      matrixPredictor(hostile.allocatingModel(12_500_000_000), 2),
      'allocate memory',
      'smaller or simpler',
    ],
    [
      '300 MB at once, which the kernel allows',
      matrixPredictor(hostile.allocatingModel(75_000_000), 2),
      'took more than 256 MB of memory',
      'INFERENCE_MEMORY_MB',
    ],
    ['memory without end, bit by bit', matrixPredictor(hostile.growingModel(), 2), 'memory', 'smaller or simpler'],
  ])('is refused for %s', async (_, { version, bytes }, text, remedy) => {
    const error = await checkModel(version, bytes, LIMITS).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining(text),
      remedy: expect.stringContaining(remedy),
    });
  });

  it('is refused for a loop without a bound, at the limit of one run', async () => {
    const { version, bytes } = matrixPredictor(hostile.endlessModel(), 2);
    const error = await checkModel(version, bytes, { ...LIMITS, runLimit: cpuLimit(200) }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining('no answer within 200 ms'),
      remedy: expect.stringContaining('loop without a bound'),
    });
  });

  it('is served row by row where its rows depend on one another, or it takes one at a time', async () => {
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

  it('is served by place where it declares no shape', async () => {
    const { version, bytes } = matrixPredictor(hostile.undeclaredShapeModel(), 2);
    const { parity, cost } = await checkModel(version, bytes, LIMITS);
    expect(parity).toMatchObject({ users: { real: 0, madeUp: 64 }, batchSizes: [1, 2, 3, 7, 64, 1_024] });
    expect(cost).toMatchObject({ batchSize: 1_024, aloneMs: expect.any(Number), perUserUs: expect.any(Number) });
  });

  it('is refused before it is read where the bytes are not those of the definition', async () => {
    const { version } = matrixPredictor(hostile.endlessModel(), 2);
    await expect(checkModel(version, sound.bytes, LIMITS)).rejects.toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining('the bytes are not those of the registered artifact'),
      remedy: expect.stringContaining('where it is whole'),
    });
  });

  it('is tried with real users too, and not served where none of them gets an answer', async () => {
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
      message: expect.stringContaining('with each real user'),
    });
  });
});
