import { linearModel, rootModel } from '@tandem/testing/onnx-models';
import { expect, it } from 'vitest';
import { batchOf, matrixPredictor } from '../live/toy-predictor.fixture.ts';
import { measureSetting } from './measure-setting.ts';

const SETTING = { version: 1, batch: 8, processes: 2, threads: 2 };
const rows = Array.from({ length: 50 }, (_, n) => [n % 17, n % 5]);

function profiled(bytes: Buffer, features: readonly (readonly number[])[] = rows) {
  const { version } = matrixPredictor(bytes, features[0]?.length ?? 1);
  return { version, bytes, batch: batchOf(version, features) };
}
const limits = (signal = new AbortController().signal) => ({
  memoryLimitMb: 512,
  loadMs: 1_000,
  deadline: Infinity,
  signal,
});

it('measures a setting in separate processes', { timeout: 60_000 }, async () => {
  const found = await measureSetting(SETTING, profiled(linearModel({ weights: [1, 2] })), limits());
  expect(found).toMatchObject({ setting: SETTING, failed: 0, lost: 0 });
  expect(found.throughput).toBeGreaterThan(0);
  expect(found.cpuMsPerThousand).toBeGreaterThan(0);
  expect(found.memoryMb).toBeGreaterThan(2 * 20);
  expect(found.p99Ms).toBeGreaterThanOrEqual(found.p50Ms);
});

it('rejects with the model’s reason if it gives no answer', { timeout: 60_000 }, async () => {
  const empty = profiled(Buffer.from('no model'));
  await expect(measureSetting(SETTING, empty, limits())).rejects.toThrow(/cannot be loaded/);
});

it('ends its load at the deadline', { timeout: 60_000 }, async () => {
  const version = profiled(linearModel({ weights: [1, 2] }));
  const deadline = performance.now();
  const found = await measureSetting(SETTING, version, { ...limits(), loadMs: 3_600_000, deadline }).catch(String);
  // Runs may end while the load is starting.
  if (typeof found === 'string') expect(found).toContain('no run ended within 0.0 s');
  else expect(found.throughput).toBeGreaterThan(0);
});

it('ends with the signal', { timeout: 60_000 }, async () => {
  const controller = new AbortController();
  controller.abort(new Error('Ctrl-C'));
  const version = profiled(rootModel(), [[4], [9]]);
  await expect(measureSetting(SETTING, version, limits(controller.signal))).rejects.toThrow('Ctrl-C');
});
