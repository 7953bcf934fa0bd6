/**
 * Measures how the load of one model delays reads of another, with one child: by `load`, which uses a second child,
 * and, as a control, by a load in the serving child. Times are relative to the same reads before, since machines
 * differ.
 */
import { linearModel } from '@tandem/testing/onnx-models';
import { denseModel } from '@tandem/testing/sized-model';
import { afterEach, expect, it, vi } from 'vitest';
import type { InferencePool } from './pool.ts';
import { matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';

vi.setConfig({ testTimeout: 600_000 });

const READS = 2_000;
const read = matrixPredictor(linearModel({ weights: [1, 2] }), 2);
/** 50 MB of weights. */
const loaded = matrixPredictor(denseModel({ width: 2, units: 2_500, layers: 3 }), 2);

let pool: InferencePool;
afterEach(() => pool.close(0));

/** Reads one after the other until the work is over, and at least this many times. */
async function latenciesDuring(work: Promise<unknown>, least: number): Promise<readonly number[]> {
  const latencies: number[] = [];
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  while (!isOver || latencies.length < least) {
    const begin = performance.now();
    await scoresOf(pool, read, [[1, 1]]);
    latencies.push(performance.now() - begin);
  }
  await ended;
  return latencies;
}

const shareOf = (latencies: readonly number[], share: number) =>
  latencies.toSorted((a, b) => a - b)[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;

async function measure(load: () => Promise<unknown>) {
  pool = poolOf([read, loaded], { processes: 1 });
  await pool.load([read.version]);
  await latenciesDuring(Promise.resolve(), READS);
  const before = await latenciesDuring(Promise.resolve(), READS);
  const begin = performance.now();
  const during = await latenciesDuring(load(), 1);
  const tookMs = performance.now() - begin;
  return {
    tookMs,
    reads: during.length,
    p99Before: shareOf(before, 0.99),
    p99: shareOf(during, 0.99),
    longest: Math.max(...during),
  };
}

it('the load of a 50 MB model does not delay reads of another model, unlike a load in the serving child', async () => {
  const beside = await measure(() => pool.load([read.version, loaded.version]));
  await pool.close(0);
  const within = await measure(() => pool.warmUp(loaded.version));
  const figures = { beside, within, p99Ratio: beside.p99 / beside.p99Before };
  console.log(
    JSON.stringify(figures, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(3)) : value)),
  );
  // In the serving child, a request waits for the whole load. With a second child, no request waits for a large part of
  // it.
  expect(within.longest).toBeGreaterThan(within.tookMs / 3);
  expect(beside.longest).toBeLessThan(within.longest / 2);
  expect(beside.p99).toBeLessThan(within.longest / 4);
});
