import * as models from '@tandem/testing/onnx-models';
import { describe, expect, it } from 'vitest';
import { createArtifactBreaker } from './artifact-breaker.ts';
import { Batcher, type RunSlot } from './batcher.ts';
import { createSliceRows } from './slice-rows.ts';
import { batchOf, matrixPredictor } from './toy-predictor.fixture.ts';

const { version } = matrixPredictor(models.loopModel(), 2);

describe('the rows of a run of a batch', () => {
  it.each([
    { what: 'of an unknown speed', runs: [], expected: 1_024 },
    { what: 'of a fast model', runs: [[1_024, 1]], expected: 4_096 },
    { what: 'of a slow model', runs: [[1_024, 30]], expected: 1_024 },
    { what: 'in between', runs: [[1_024, 10.24]], expected: 2_000 },
    {
      what: 'of a model that became slow',
      runs: [
        [1_024, 1],
        [4_096, 400],
      ],
      expected: 1_024,
    },
    {
      what: 'after a short run',
      runs: [
        [1_024, 1],
        [16, 5],
      ],
      expected: 4_096,
    },
  ] as const)('are $expected $what', ({ runs, expected }) => {
    const slices = createSliceRows(4_096);
    for (const [rows, cpuMs] of runs) slices.note(version, rows, cpuMs);
    expect(slices.of(version)).toBe(expected);
  });

  it('never exceed the limit', () => {
    const slices = createSliceRows(8);
    slices.note(version, 1_024, 1);
    expect(slices.of(version)).toBe(8);
  });
});

it('a batch uses larger runs after the first has shown that the model is fast', async () => {
  const ran: number[] = [];
  let isFree = true;
  const slot: RunSlot = {
    async run(_, make) {
      isFree = false;
      const rows = make()?.feeds[0]?.dims[0] ?? 0;
      ran.push(rows);
      await null;
      isFree = true;
      batcher.pumpSoon();
      return { outputs: [{ name: 'score', type: 'float32', dims: [rows, 1], data: new Float32Array(rows) }], cpuMs: 1 };
    },
  };
  const now = () => 0;
  const batcher = new Batcher({
    ...{ freeSlot: () => (isFree ? slot : null), slots: 1, maxLiveRows: 8, slices: createSliceRows(4_096), now },
    ...{ maxWaitingRows: { live: 100, batch: 10_000 }, killGraceMs: 1_000 },
    breaker: createArtifactBreaker({ now, log: () => {}, onRest: () => {} }),
  });
  const features = Array.from({ length: 4_096 }, () => [0, 0]);
  const asked = { version, batch: batchOf(version, features), rows: [...features.keys()] };
  for (let batch = 0; batch < 2; batch++) await batcher.score({ ...asked, timeoutMs: 1_000, priority: 'batch' });
  expect(ran).toEqual([1_024, 3_072, 4_096]);
});
