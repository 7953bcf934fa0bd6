/** Every shipped model passes the checks of a push and returns the answers of the training. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { checkModel } from '@tandem/inference/admission/check-model';
import type { InferencePool } from '@tandem/inference/live/pool';
import { batchOf, poolOf, scoresOf, type ToyPredictor } from '@tandem/inference/live/toy-predictor.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { columnCountOf, type Golden, modelNames, readGolden, shopModel } from '../shop-models.fixture.ts';

let golden: Golden;
let models: ReadonlyMap<string, ToyPredictor>;
let pool: InferencePool;
beforeAll(async () => {
  golden = await readGolden();
  models = new Map(
    await Promise.all(modelNames.map(async (name) => [name, await shopModel(name, golden.names)] as const)),
  );
  pool = poolOf([...models.values()], { processes: 1 });
});
afterAll(() => pool.close());

function modelOf(name: string): ToyPredictor {
  const model = models.get(name);
  if (model === undefined) throw new Error(`the model ${name} does not exist`);
  return model;
}

const featuresFor = (name: string) => golden.rows.map(({ features }) => features.slice(0, columnCountOf(name)));

describe.each(modelNames)('%s', { timeout: 60_000 }, (name) => {
  it('returns the answers of the training', async () => {
    const scores = await scoresOf(pool, modelOf(name), featuresFor(name));
    const expected = golden.rows.map((row) => row.scores[name] ?? Number.NaN);
    expect(scores).toHaveLength(50);
    for (const [row, score] of scores.entries()) expect(score).toBeCloseTo(expected[row] ?? Number.NaN, 5);
  });

  it('returns the same answers for real customers alone and in a batch', async () => {
    const { version, bytes } = modelOf(name);
    const checked = await checkModel(version, bytes, { sample: batchOf(version, featuresFor(name)) });
    expect(checked.parity).toMatchObject({ refused: { real: 0 } });
    expect(checked.parity.users.real).toBeGreaterThanOrEqual(32);
  });

  it('is the file of the metrics, and is small', async () => {
    const { models } = JSON.parse(await readFile(new URL('./metrics.json', import.meta.url), 'utf8'));
    const { bytes } = modelOf(name);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(models[name].sha256);
    expect(bytes.length).toBeLessThan(20_000);
  });
});
