import { readFile } from 'node:fs/promises';
import { batchScaledModel } from '@tandem/testing/hostile-models';
import { linearModel, linearScore, rootModel } from '@tandem/testing/onnx-models';
import { denseModel } from '@tandem/testing/sized-model';
import { describe, expect, it } from 'vitest';
import { batchOf, matrixPredictor } from '../live/toy-predictor.fixture.ts';
import { measureBuilds } from './measure-builds.ts';

const LIMITS = { memoryLimitMb: 512, answersMs: 10_000, pacesMs: 200 };
/** The limits for the test of paces. */
const PACED = { ...LIMITS, pacesMs: 1_000 };
const rows = Array.from({ length: 300 }, (_, n) => [(n % 17) - 8, (n % 5) / 4]);

function side(bytes: Buffer, features: readonly (readonly number[])[] = rows, rowByRow = false) {
  const { version } = matrixPredictor(bytes, features[0]?.length ?? 1);
  return { definition: { ...version, rowByRow }, bytes, batch: batchOf(version, features) };
}

describe('a build and its parent', { timeout: 120_000 }, () => {
  it('answer the same users in the same order', async () => {
    const [weights, other] = [
      [0.1, -0.2],
      [0.11, -0.2],
    ];
    const found = await measureBuilds(side(linearModel({ weights })), side(linearModel({ weights: other })), LIMITS);
    expect(found.rows).toHaveLength(300);
    for (const [i, row] of found.rows.entries()) {
      expect(found.parent.answers[i]?.[0]).toBeCloseTo(linearScore(weights, 0, rows[row] ?? []), 5);
      expect(found.build.answers[i]?.[0]).toBeCloseTo(linearScore(other, 0, rows[row] ?? []), 5);
    }
    expect(found.build).toMatchObject({ refused: 0, parity: { rowsAgree: true } });
  });

  it('are compared by speed: a small network is many times as fast as one with a thousand times its work', async () => {
    const [slow, quick] = [denseModel({ width: 2, units: 512, layers: 4 }), linearModel({ weights: [0.1, 0.2] })];
    const { paces } = await measureBuilds(side(slow), side(quick), PACED);
    expect(paces.rounds).toBeGreaterThanOrEqual(3);
    expect(paces.together.speedup.low).toBeGreaterThan(3);
    expect(paces.together.parentUs).toBeGreaterThan(3 * paces.together.buildUs);
    const back = await measureBuilds(side(quick), side(slow), PACED);
    expect(back.paces.together.speedup.high).toBeLessThan(1 / 3);
    expect(back.paces.alone.speedup.median).toBeLessThan(1);
  });

  it('detect rows that depend on other rows, even if each row is inferred alone in serving', async () => {
    const pinned = side(batchScaledModel(), rows, true);
    const found = await measureBuilds(side(linearModel({ weights: [0.1, 0.2] })), pinned, LIMITS);
    expect(found.build.parity).toMatchObject({ rowsAgree: false });
    expect(found.build.parity.largestDifference).toBeGreaterThan(1e-4);
    expect(found.parent.parity.rowsAgree).toBe(true);
  });

  it('leave out and count users without an answer from one of them', async () => {
    const features = [[4], [-1], [9], [-2], [16]];
    const found = await measureBuilds(
      side(linearModel({ weights: [1] }), features),
      side(rootModel(), features),
      LIMITS,
    );
    expect(found.rows).toEqual([0, 2, 4]);
    expect(found.build).toMatchObject({ refused: 2, answers: [[2], [3], [4]] });
    expect(found.parent.refused).toBe(0);
  });

  it('are rejected if no user gets two answers, or if the file is not the registered one', async () => {
    const parent = side(linearModel({ weights: [1] }), [[-4]]);
    await expect(measureBuilds(parent, side(rootModel(), [[-4]]), LIMITS)).rejects.toMatchObject({
      code: 'features_unusable',
      message: expect.stringContaining('score is NaN'),
    });
    const damaged = { ...parent, bytes: Buffer.from('not it') };
    await expect(measureBuilds(parent, damaged, LIMITS)).rejects.toMatchObject({ code: 'model_refused' });
  });
});

describe('the example’s int8 network', { timeout: 120_000 }, () => {
  it('gives nearly the same answers as its parent', async () => {
    const read = (name: string) => readFile(new URL(`../../../apps/shop/model/${name}.onnx`, import.meta.url));
    const features = Array.from({ length: 200 }, (_, n) => Array.from({ length: 12 }, (_, i) => (n * (i + 3)) % 11));
    const [parent, build] = [side(await read('network'), features), side(await read('network-int8'), features)];
    const found = await measureBuilds(parent, build, LIMITS);
    expect(found.build.parity.rowsAgree).toBe(true);
    const differences = found.parent.answers.map(([a], i) => Math.abs(Number(a) - Number(found.build.answers[i]?.[0])));
    expect(Math.max(...differences)).toBeLessThan(0.25);
    expect(Math.max(...differences)).toBeGreaterThan(0);
  });
});
