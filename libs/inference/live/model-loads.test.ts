import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import * as models from '@tandem/testing/onnx-models';
import { denseModel } from '@tandem/testing/sized-model';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { keepFiles } from './kept-files.ts';
import type { InferencePool, InferencePoolOptions } from './pool.ts';
import { letRunsBegin, matrixPredictor, poolOf, scoresOf } from './toy-predictor.fixture.ts';

const first = matrixPredictor(models.linearModel({ weights: [1, 2], bias: 0.5 }), 2);
const second = matrixPredictor(models.linearModel({ weights: [3, 4] }), 2);
const loop = matrixPredictor(models.loopModel(), 2);
/** 36 MB of weights, which take long enough to load that a reader would notice. */
const large = matrixPredictor(denseModel({ width: 2, units: 3_000, layers: 2 }), 2);
const PATIENCE = 60_000;
vi.setConfig({ testTimeout: 180_000 });

let pool: InferencePool;
const open = (options: Partial<InferencePoolOptions> = {}) => {
  pool = poolOf([first, second, loop, large], { processes: 1, ...options });
  return pool;
};
afterEach(() => pool.close(0));

const loaded = (...predictors: (typeof first)[]) =>
  predictors.map(({ version }) => ({ modelVersionId: version.id, error: null }));
const isRunning = (pid: number) => existsSync(`/proc/${pid}`);

describe('loading models', () => {
  it('loads a large model into a new child, while the old child continues to answer, and then ends the old one', async () => {
    open();
    expect(await pool.load([first.version])).toEqual(loaded(first));
    const [before = 0] = pool.stats().pids;
    let isOver = false;
    const loading = pool.load([first.version, large.version]).finally(() => {
      isOver = true;
    });
    let answeredByTheFirst = 0;
    while (!isOver) {
      expect(await scoresOf(pool, first, [[1, 1]])).toHaveLength(1);
      if (!isOver && pool.stats().pids.includes(before)) answeredByTheFirst++;
      // The reads must not take the processor from the load.
      await pause(5);
    }
    expect(await loading).toEqual(loaded(first, large));
    expect(answeredByTheFirst).toBeGreaterThan(10);
    expect(pool.stats().pids).not.toContain(before);
    await vi.waitFor(() => expect(isRunning(before)).toBe(false), PATIENCE);
  });

  it('loads into every child, and starts no child for loaded models', async () => {
    const loadArtifact = vi.fn(async () => second.bytes);
    open({ processes: 2, loadArtifact: keepFiles(loadArtifact) });
    expect(await pool.load([second.version])).toEqual(loaded(second));
    const { pids } = pool.stats();
    expect(pids).toHaveLength(2);
    expect(await pool.load([second.version])).toEqual(loaded(second));
    expect(pool.stats().pids).toEqual(pids);
    expect(loadArtifact).toHaveBeenCalledTimes(1);
  });

  it('loads a changed model into the serving children, and unloads its predecessor', async () => {
    const loads = vi.fn();
    open({ onLoad: loads, processes: 2 });
    await pool.load([first.version, second.version]);
    const { pids } = pool.stats();
    loads.mockClear();
    expect(await pool.load([first.version, loop.version])).toEqual(loaded(first, loop));
    expect(loads.mock.calls).toEqual([
      ['trial', 0],
      ['ahead', 0],
      ['ahead', 0],
    ]);
    expect(pool.stats()).toMatchObject({ pids, models: { held: 4 } });
    await pool.load([first.version, loop.version]);
    expect(loads).toHaveBeenCalledTimes(3);
  });

  it('waits for the current run of the child that is replaced', async () => {
    open();
    await pool.load([loop.version]);
    const [before = 0] = pool.stats().pids;
    // Iterations that take more than a second, which is longer than the new child needs to be ready.
    const slow = scoresOf(pool, loop, [[1_500_000, 5]], { timeoutMs: 60_000 });
    await letRunsBegin();
    await vi.waitFor(() => expect(pool.stats().idle).toBe(0), PATIENCE);
    const loading = pool.load([loop.version, large.version]);
    expect(await slow).toEqual([5]);
    expect(await loading).toEqual(loaded(loop, large));
    expect(pool.stats().pids).not.toContain(before);
  });

  it('stays ready with all models even if they do not fit together, and keeps the first', async () => {
    const several = Array.from({ length: 10 }, (_, i) =>
      matrixPredictor(denseModel({ width: 2 + i, units: 1_250, layers: 3 }), 2 + i),
    );
    const loads: string[] = [];
    pool = poolOf(several, { processes: 1, memoryLimitMb: 256, onLoad: (when) => loads.push(when) });
    expect(await pool.load(several.map(({ version }) => version))).toEqual(loaded(...several));
    expect(loads).toEqual(several.map(() => 'ahead'));
    expect(pool.stats().models.held).toBeLessThan(10);
    await scoresOf(pool, several[0] as (typeof several)[0], [[1, 1]]);
    expect(loads).toHaveLength(10);
    const last = several[8] as (typeof several)[0];
    await scoresOf(pool, last, [Array<number>(10).fill(1)]);
    expect(loads.slice(10)).toEqual(['on_demand']);
  });

  it('loads the same models into a child that replaces a dead one', async () => {
    open();
    await pool.load([first.version, second.version]);
    const [pid = 0] = pool.stats().pids;
    process.kill(pid, 'SIGKILL');
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ models: { held: 0 } }), PATIENCE);
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ models: { held: 2 } }), PATIENCE);
    expect(await scoresOf(pool, first, [[1, 1]])).toHaveLength(1);
    expect(pool.stats().pids).not.toContain(pid);
  });
});

describe('a model that cannot be loaded', () => {
  it('fails alone, with the reason; earlier models stay loaded', async () => {
    const tooLarge = matrixPredictor(denseModel({ width: 2, units: 3_000, layers: 4 }), 2);
    pool = poolOf([first, second, tooLarge], { processes: 1, memoryLimitMb: 256 });
    await pool.load([first.version]);
    const [before = 0] = pool.stats().pids;
    const [one, other, third] = await pool.load([first.version, tooLarge.version, second.version]);
    expect([one, third]).toEqual(loaded(first, second));
    expect(other?.error).toMatch(/memory|allocat/i);
    expect(pool.stats().pids).toEqual([before]);
    // The model is paused: no child is started for it, and the reason is still returned.
    const { pids } = pool.stats();
    expect(await pool.load([first.version, tooLarge.version, second.version])).toEqual([one, other, third]);
    expect(pool.stats().pids).toEqual(pids);
  });

  it('is loaded after it was fixed and its pause has ended', async () => {
    let clock = 0;
    let bytes: Uint8Array = new Uint8Array([0, ...second.bytes]);
    open({
      now: () => clock,
      loadArtifact: async (hash) => (hash === second.version.artifactHash ? bytes : first.bytes),
    });
    await pool.load([first.version]);
    const { pids } = pool.stats();
    const versions = [first.version, second.version];
    expect((await pool.load(versions))[1]?.error).toContain('the model file differs from the registered artifact');
    expect(pool.stats().pids).toEqual(pids);
    bytes = second.bytes;
    expect((await pool.load(versions))[1]?.error).toContain('the model file differs from the registered artifact');
    clock += 1_000;
    expect(await pool.load(versions)).toEqual(loaded(first, second));
  });
});
