/**
 * Tests a busy machine, which gives a child little CPU: no model is rejected, no user fails and no child hangs because
 * of the load. The test runs in a separate process, since it stops all children of its process.
 */
import { getPriority } from 'node:os';
import { endlessModel } from '@tandem/testing/hostile-models';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterEach, describe, expect, it } from 'vitest';
import { checkModel } from '../admission/check-model.ts';
import type { InferencePool, InferencePoolOptions } from '../live/pool.ts';
import { batchOf, matrixPredictor, poolOf } from '../live/toy-predictor.fixture.ts';
import { InferenceProcess, START_LIMIT } from './inference-process.ts';
import { childPids, withSlowChildren } from './slowed-children.fixture.ts';
import { cpuLimit } from './time-limit.ts';

const { version, bytes } = matrixPredictor(linearModel({ weights: [1, 2] }), 2);
const endless = matrixPredictor(endlessModel(), 2);
const busy = {
  code: 'overloaded',
  message: expect.stringMatching(/got [\d.]+ s of CPU in [\d.]+ s: the machine is busy/),
};

describe.runIf(process.platform === 'linux')('the trial of a model', { timeout: 120_000 }, () => {
  it('passes a valid model that takes far longer than its limit because of too little CPU', async () => {
    const limits = {
      memoryLimitMb: 512,
      niceSteps: 0,
      loadLimit: cpuLimit(1_000),
      runLimit: cpuLimit(1_000),
      totalLimit: cpuLimit(10_000),
    };
    const { parity } = await withSlowChildren(1 / 8, () => checkModel(version, bytes, limits), 1_600);
    expect(parity.users.madeUp).toBe(64);
  });

  it('without CPU, ends with an error that has the CPU time and does not blame the model', async () => {
    const limits = { memoryLimitMb: 512, runLimit: cpuLimit(500, 1_000), field: 'predictors.toy.model' };
    const trial = withSlowChildren(0.1, () => checkModel(endless.version, endless.bytes, limits));
    await expect(trial).rejects.toMatchObject({
      ...busy,
      field: 'predictors.toy.model',
      remedy: expect.stringContaining('says nothing about the model'),
      retryAfter: expect.any(Number),
    });
    expect(childPids()).toEqual([]);
  });

  it.each([
    { niceSteps: 0, beyond: [0] },
    { niceSteps: undefined, beyond: [0, Math.min(10, 19 - getPriority())] },
  ])('runs at the requested priority: $niceSteps', async ({ niceSteps, beyond }) => {
    const limits = { memoryLimitMb: 512, runLimit: cpuLimit(300), ...(niceSteps === undefined ? {} : { niceSteps }) };
    let isOver = false;
    const trial = checkModel(endless.version, endless.bytes, limits).catch((error: unknown) => {
      isOver = true;
      return error;
    });
    const seen = new Set<number>();
    const look = () => {
      for (const pid of childPids()) seen.add(nicenessOf(pid) - getPriority());
      return isOver;
    };
    await expect.poll(look, { interval: 10, timeout: 100_000 }).toBe(true);
    expect(await trial).toMatchObject({ code: 'model_refused' });
    expect([...seen]).toEqual(beyond);
  });
});

describe.runIf(process.platform === 'linux')('a run that takes too much CPU', { timeout: 120_000 }, () => {
  it('is the model’s fault, even on a busy machine', async () => {
    const child = new InferenceProcess({ memoryLimitMb: 512, boundData: true, startLimit: START_LIMIT });
    await child.ready;
    await child.load({ session: 'm', bytes: endless.bytes, sha256: null }, cpuLimit(10_000));
    const feeds = [{ name: 'features', type: 'float32' as const, dims: [1, 2], data: Float32Array.of(1, 1) }];
    const run = () => child.run({ session: 'm', feeds, fetches: ['score'], rowByRow: false }, cpuLimit(300, 60_000));
    await expect(withSlowChildren(0.4, run)).rejects.toMatchObject({
      message: 'the inference process ended: no answer within 300 ms of CPU time',
      why: 'deadline',
    });
  });
});

describe.runIf(process.platform === 'linux')('a child that gets no CPU at all', { timeout: 60_000 }, () => {
  let pool: InferencePool | undefined;
  afterEach(() => pool?.close(0));
  const open = (options: Partial<InferencePoolOptions> = {}) => {
    pool = poolOf([{ version, bytes }], { processes: 1, ...options });
    return pool;
  };

  it('is ended at the limit of wall time', async () => {
    const child = new InferenceProcess({ memoryLimitMb: 512, boundData: true, startLimit: START_LIMIT });
    await child.ready;
    const load = () => child.load({ session: 'm', bytes, sha256: null }, cpuLimit(100, 1_000));
    await expect(withSlowChildren(0, load)).rejects.toMatchObject({
      ...busy,
      message: expect.stringMatching(
        /^the inference process got 0(\.0\d*)? s of CPU in [\d.]+ s: the machine is busy$/,
      ),
    });
    expect((await child.ended).why).toBe('starved');
  });

  it('delays the versions of a rollout, is reported with the reason, and is retried', async () => {
    const { load } = open({ startLimit: cpuLimit(10_000, 500) });
    const [outcome] = await withSlowChildren(0, () => load([version]));
    expect(outcome?.error).toMatch(/got [\d.]+ s of CPU in [\d.]+ s: the machine is busy/);
    await pool?.close(0);
    expect(await open().load([version])).toEqual([{ modelVersionId: version.id, error: null }]);
  });

  it('lets a batch run exceed its limit, and no user fails', async () => {
    const { warmUp, score, stats } = open();
    await warmUp(version);
    const [child = 0] = stats().pids;
    process.kill(child, 'SIGSTOP');
    const begin = performance.now();
    const request = { version, batch: batchOf(version, [[1, 1]]), rows: [0], timeoutMs: 60_000, runTimeoutMs: 100 };
    const scored = score({ ...request, priority: 'batch' });
    await expect.poll(() => performance.now() - begin, { timeout: 10_000 }).toBeGreaterThan(1_000);
    process.kill(child, 'SIGCONT');
    expect(Object.keys((await scored).tensors)).toEqual(['score']);
  });
});

/** Returns the niceness of a process; if it has just ended, that of this process. */
function nicenessOf(pid: number): number {
  try {
    return getPriority(pid);
  } catch {
    return getPriority();
  }
}
