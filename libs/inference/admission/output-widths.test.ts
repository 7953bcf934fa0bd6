import { decodeOutputs, encodeOutputs } from '@tandem/freshness/outputs';
import { BOOL, FLOAT, graph, model, node, raw, value } from '@tandem/testing/onnx-writer';
import { describe, expect, it } from 'vitest';
import { batchOf, matrixPredictor, poolOf } from '../live/toy-predictor.fixture.ts';
import { checkModel, measureModel } from './check-model.ts';

/**
 * Returns a model that returns both of its features, but declares one value for each user or `declared`, as skl2onnx
 * does for two targets.
 */
function twoValues(declared: number | string) {
  const keep = raw('keep', BOOL, [2], Buffer.from([1, 1]));
  const both = node('Compress', ['features', 'keep'], ['variable'], { axis: 1 });
  const outputs = [value('variable', FLOAT, ['N', declared])];
  return model(graph([both], [keep], [value('features', FLOAT, ['N', 2])], outputs));
}

function check(declared: number | string, place: { index: number; width: number | null } | null) {
  const field = { name: 'score', output: 'variable', type: 'float32' as const, index: 0, width: null, ...place };
  const { version, bytes } = matrixPredictor(twoValues(declared), 2, { outputs: [field] });
  const unplaced = place === null ? ['score'] : [];
  return checkModel(version, bytes, { memoryLimitMb: 512, unplaced });
}

describe('a model that gives another number of values than it declares', { timeout: 60_000 }, () => {
  it('is refused if the config sets no index, since the first value would be a guess', async () => {
    await expect(check(1, null)).rejects.toMatchObject({
      code: 'model_refused',
      field: 'predictors.toy.outputs.score',
      message:
        "the model's output variable float32 [N, 1] gives 2 values a user (it declares 1), but the config does not say which one to take",
      remedy: 'Write index: 0 (up to 1) for one of them, or width: 2 for all.',
    });
  });

  it.each([
    { index: 0, width: null },
    { index: 1, width: null },
    { index: 0, width: 2 },
  ])('passes with an index that its runs have: %o', async (place) => {
    expect((await check(1, place)).parity.users.madeUp).toBe(64);
  });

  it('is refused if its runs do not have the index, whatever it declares', async () => {
    const message = "takes value 2, counted from 0, but the model's output variable float32 [N, 3]";
    await expect(check(3, { index: 2, width: null })).rejects.toMatchObject({
      field: 'predictors.toy.outputs.score',
      message: `${message} gives only 2 values a user (it declares 3)`,
      remedy: 'Take values up to 1 with index and width.',
    });
  });

  it('is measured for a first config, by a separate run', async () => {
    const { outputs } = await measureModel(twoValues(1), { memoryLimitMb: 512 });
    expect(outputs).toEqual([{ name: 'variable', type: 'float32', shape: ['N', 2] }]);
    const open = await measureModel(twoValues('M'), { memoryLimitMb: 512 });
    expect(open.outputs).toEqual(outputs);
  });

  it('serves the value that the config names', async () => {
    const field = { name: 'score', output: 'variable', type: 'float32' as const, index: 1, width: null };
    const predictor = matrixPredictor(twoValues(1), 2, { outputs: [field] });
    const pool = poolOf([predictor], { processes: 1 });
    try {
      const request = { version: predictor.version, batch: batchOf(predictor.version, [[3, 7]]), rows: [0] };
      const { tensors } = await pool.score({ ...request, timeoutMs: 20_000, priority: 'live' });
      expect(decodeOutputs([field], encodeOutputs([field], tensors, 0))).toEqual({ score: 7 });
    } finally {
      await pool.close();
    }
  });
});
