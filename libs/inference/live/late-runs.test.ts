import * as models from '@tandem/testing/onnx-models';
import { expect, it } from 'vitest';
import { createArtifactBreaker } from './artifact-breaker.ts';
import { Batcher, type RunSlot } from './batcher.ts';
import { createSliceRows } from './slice-rows.ts';
import { batchOf, matrixPredictor } from './toy-predictor.fixture.ts';

const { version } = matrixPredictor(models.loopModel(), 2);
const ROW_MS = 10;
const TIMEOUT_MS = 400;

/** Creates one slot with runs of 10 ms for each row, on a clock that the test sets. The test ends the runs. */
function createWorld() {
  const clock = { now: 0 };
  const ran: number[] = [];
  let isFree = true;
  let hold: Promise<void> | undefined;
  const slot: RunSlot = {
    async run(_, make) {
      isFree = false;
      const rows = make()?.feeds[0]?.dims[0];
      if (rows !== undefined) {
        ran.push(rows);
        clock.now += rows * ROW_MS;
        await hold;
      }
      isFree = true;
      batcher.pumpSoon();
      if (rows === undefined) return null;
      const outputs = [{ name: 'score', type: 'float32', dims: [rows, 1], data: new Float32Array(rows) }] as const;
      return { outputs, cpuMs: 0 };
    },
  };
  const now = () => clock.now;
  const batcher = new Batcher({
    freeSlot: () => (isFree ? slot : null),
    slots: 1,
    maxLiveRows: 8,
    slices: createSliceRows(8),
    maxWaitingRows: { live: 100, batch: 100 },
    killGraceMs: 1_000,
    breaker: createArtifactBreaker({ now, log: () => {}, onRest: () => {} }),
    now,
  });
  const score = (rows: number) => {
    const features = Array.from({ length: rows }, () => [0, 0]);
    const asked = { version, batch: batchOf(version, features), rows: [...features.keys()] };
    return batcher.score({ ...asked, timeoutMs: TIMEOUT_MS, priority: 'live' });
  };
  const holdRuns = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    hold = promise;
    return () => {
      hold = undefined;
      resolve();
    };
  };
  return { clock, ran, score, holdRuns };
}

it('does not run requests that would be too late, and rejects them before their deadline', async () => {
  const { clock, ran, score, holdRuns } = createWorld();
  for (const rows of [1, 2, 4, 8]) await score(rows);
  const release = holdRuns();
  const first = score(1);
  await expect.poll(() => ran.length).toBe(5);
  const behind = score(1);
  // A run that takes far longer than all earlier runs.
  clock.now += TIMEOUT_MS - ROW_MS - 5;
  release();
  await first;
  await expect(behind).rejects.toMatchObject({ code: 'live_timeout' });
  expect(ran).toEqual([1, 2, 4, 8, 1]);
  await score(2);
  expect(ran.at(-1)).toBe(2);
});
