import { scoreIsolating } from '@tandem/prediction/scoring/isolate-poison';
import { ScoringCrash } from '@tandem/prediction/scoring/scoring';
import * as models from '@tandem/testing/onnx-models';
import { denseModel } from '@tandem/testing/sized-model';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { InferencePool, InferencePoolOptions } from './pool.ts';
import type { FinishedRun } from './slot.ts';
import {
  batchOf,
  createPauseClock,
  letRunsBegin,
  matrixPredictor,
  poolOf,
  scoresOf,
  type ToyPredictor,
} from './toy-predictor.fixture.ts';

const linear = matrixPredictor(models.linearModel({ weights: [1, 2], bias: 0.5 }), 2);
const loop = matrixPredictor(models.loopModel(), 2);
const memory = matrixPredictor(models.memoryModel(), 2);
const table = matrixPredictor(models.tableModel(), 1);
const dropping = matrixPredictor(models.droppingModel(), 2);
const FOR_EVER = 2 ** 62;
/** Iterations of the loop model that take about 0.1 s. */
const A_WHILE = 130_000;
/** Milliseconds in which a busy machine ends a process and starts another. */
const PATIENCE = 20_000;

// Each test starts processes and loads models.
vi.setConfig({ testTimeout: 60_000 });

let pool: InferencePool;
const open = (options: Partial<InferencePoolOptions> = {}) => {
  pool = poolOf([linear, loop, memory, table, dropping], options);
  return pool;
};
afterEach(() => pool.close(0));

describe('an inference pool', () => {
  it('gives each row its own score', async () => {
    const rows = Array.from({ length: 3_000 }, (_, i) => [i / 1_000, -i / 500]);
    const scores = await scoresOf(open(), linear, rows, { priority: 'batch' });
    const expected = rows.map((row) => models.linearScore([1, 2], 0.5, row));
    expect(Math.max(...scores.map((score, i) => Math.abs(score - (expected[i] ?? 0))))).toBeLessThan(1e-6);
  });

  it('starts no process before it is needed, and warmUp loads the model in all of them', async () => {
    const loadArtifact = vi.fn(async () => linear.bytes);
    open({ loadArtifact });
    expect(pool.stats().pids).toEqual([]);
    await pool.warmUp(linear.version);
    expect(pool.stats()).toMatchObject({ processes: 2, idle: 2 });
    const read = loadArtifact.mock.calls.length;
    await Promise.all([1, 2, 3, 4].map((i) => scoresOf(pool, linear, [[i, i]])));
    expect(loadArtifact).toHaveBeenCalledTimes(read);
  });

  it('kills a run that never ends at its deadline, and serves other requests meanwhile', async () => {
    open({ killGraceMs: 100 });
    await Promise.all([pool.warmUp(loop.version), pool.warmUp(linear.version)]);
    const before = pool.stats().pids;
    const ended: string[] = [];
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 6_000 }).finally(() => ended.push('stuck'));
    stuck.catch(() => {});
    for (let i = 0; i < 5; i++) await scoresOf(pool, linear, [[1, 1]]);
    ended.push('served');
    await expect(stuck).rejects.toMatchObject({ code: 'live_timeout' });
    expect(ended).toEqual(['served', 'stuck']);
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ idle: 2 }), PATIENCE);
    expect(pool.stats().pids.filter((pid) => before.includes(pid))).toHaveLength(1);
  });

  it('reports to a batch that the process of its run died, so that the poison row can be found', async () => {
    open({ killGraceMs: 50 });
    await pool.warmUp(loop.version);
    const batch = batchOf(loop.version, [
      [1, 10],
      [FOR_EVER, 11],
      [1, 12],
      [1, 13],
    ]);
    const request = { version: loop.version, batch, rows: [0, 1, 2, 3], timeoutMs: 600_000, runTimeoutMs: 200 };
    await expect(pool.score({ ...request, priority: 'batch' })).rejects.toBeInstanceOf(ScoringCrash);
    const { outputs, faults } = await scoreIsolating(pool, { ...request, priority: 'batch' });
    expect([...outputs.keys()].sort()).toEqual([0, 2, 3]);
    expect(outputs.get(2)?.readFloatLE()).toBe(12);
    expect(faults.get(1)).toContain('no answer within');
  }, 180_000);

  it('survives kill -9 of a child during a run: the request is run again, and the child is replaced', async () => {
    open({ processes: 1 });
    await pool.warmUp(loop.version);
    const [pid = 0] = pool.stats().pids;
    const slow = scoresOf(pool, loop, [[2 * A_WHILE, 5]], { timeoutMs: 100_000 });
    await letRunsBegin();
    await vi.waitFor(() => expect(pool.stats().idle).toBe(0), PATIENCE);
    process.kill(pid, 'SIGKILL');
    expect(await slow).toEqual([5]);
    expect(pool.stats().pids).not.toContain(pid);
  }, 120_000);

  it('fails a request if its process is killed twice', async () => {
    const restarts: string[] = [];
    open({ processes: 1, onRestart: (why) => restarts.push(why) });
    await pool.warmUp(loop.version);
    const outcome = expect(scoresOf(pool, loop, [[FOR_EVER, 5]], { timeoutMs: 100_000 })).rejects.toBeInstanceOf(
      ScoringCrash,
    );
    let killed = 0;
    for (const time of [1, 2]) {
      // The rows have left the queue for a child that is still alive, so they are running.
      await vi.waitFor(
        () => expect([pool.stats().waitingRows.live, pool.stats().pids.includes(killed)]).toEqual([0, false]),
        PATIENCE,
      );
      killed = pool.stats().pids[0] ?? 0;
      process.kill(killed, 'SIGKILL');
      await vi.waitFor(() => expect(restarts).toHaveLength(time), PATIENCE);
    }
    await outcome;
  }, 120_000);

  it('rejects a run that needs more memory than available, and keeps the process', async () => {
    open({ processes: 1, memoryLimitMb: 512 });
    await pool.warmUp(memory.version);
    const { pids } = pool.stats();
    await expect(scoresOf(pool, memory, [[1e11, 1]])).rejects.toMatchObject({ code: 'live_failed' });
    expect(await scoresOf(pool, memory, [[10, 1]])).toEqual([1]);
    expect(pool.stats().pids).toEqual(pids);
  });

  it('fails only the users that a model rejects, in any batch', async () => {
    open({ processes: 1 });
    await pool.warmUp(table.version);
    const answers = await Promise.allSettled([1, 2, 100, 4, 200, 6].map((i) => scoresOf(pool, table, [[i]])));
    expect(answers.map((answer) => answer.status === 'fulfilled' && Math.round((answer.value[0] ?? 0) * 10))).toEqual([
      1,
      2,
      false,
      4,
      false,
      6,
    ]);
    for (const i of [2, 4]) expect(answers[i]).toMatchObject({ reason: { code: 'live_failed' } });
  });

  it('never shifts answers if a model drops rows', async () => {
    open({ processes: 1 });
    const request = scoresOf(pool, dropping, [
      [1, 10],
      [200, 11],
      [3, 12],
    ]);
    await expect(request).rejects.toMatchObject({
      code: 'live_failed',
      message: 'the model gave 2 rows of output score for 3 users',
    });
    expect(
      await scoresOf(pool, dropping, [
        [1, 10],
        [3, 12],
      ]),
    ).toEqual([10, 12]);
  });

  it('rejects at once when too many wait, and drops requests past their deadline without running them', async () => {
    open({ processes: 1, maxQueue: 4, killGraceMs: 10_000 });
    await pool.warmUp(loop.version);
    const running = scoresOf(pool, loop, [[A_WHILE * 3, 1]]);
    await letRunsBegin();
    await vi.waitFor(() => expect(pool.stats().idle).toBe(0), PATIENCE);
    const waiting = Promise.allSettled(
      Array.from({ length: 4 }, () => scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 50 })),
    );
    await expect(scoresOf(pool, loop, [[1, 1]])).rejects.toMatchObject({ code: 'overloaded', retryAfter: 1 });
    for (const one of await waiting) expect(one).toMatchObject({ reason: { code: 'live_timeout' } });
    expect(await running).toEqual([1]);
    // If a dropped request had been run, the only process would be busy forever.
    expect(await scoresOf(pool, loop, [[1, 2]])).toEqual([2]);
  });

  it('accepts as many requests as there is room for, and rejects the rest by row', async () => {
    open({ processes: 1, maxQueue: 10 });
    await pool.warmUp(loop.version);
    const running = scoresOf(pool, loop, [[A_WHILE, 1]]);
    await letRunsBegin();
    await vi.waitFor(() => expect(pool.stats().idle).toBe(0), PATIENCE);
    const waiting = [1, 2, 3].map((i) => scoresOf(pool, loop, [[1, i]]));
    const rows = Array.from({ length: 12 }, (_, i) => i);
    const batch = batchOf(
      loop.version,
      rows.map((row) => [1, row]),
    );
    const request = { version: loop.version, batch, rows, timeoutMs: PATIENCE, priority: 'live' as const };
    const { outputs, faults, overloaded } = await scoreIsolating(pool, request);
    expect([...outputs.keys()]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...outputs.values()].map((bytes) => bytes.readFloatLE())).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...overloaded]).toEqual([7, 8, 9, 10, 11]);
    expect(faults.get(11)).toBe('too many users wait for the model');
    expect(await Promise.all([running, ...waiting])).toEqual([[1], [1], [2], [3]]);
  });

  it('ends a run at its own limit, even if its request has more time left', async () => {
    open({ processes: 1 });
    await pool.warmUp(loop.version);
    const batch = batchOf(loop.version, [[FOR_EVER, 1]]);
    // The timeout is longer than the test, so that only the limit of the run can end the run.
    const request = { version: loop.version, batch, rows: [0], timeoutMs: 600_000, runTimeoutMs: 200 };
    await expect(pool.score({ ...request, priority: 'batch' })).rejects.toThrow('no answer within 200 ms');
  });

  it('rejects rows with features that no input can hold, without a run', async () => {
    open({ processes: 1 });
    const rows = Array.from({ length: 100 }, (_, i) => [i === 7 || i === 93 ? Number.NaN : i, 1]);
    const batch = batchOf(linear.version, rows);
    const asked: number[] = [];
    const counting = {
      score: (request: Parameters<typeof pool.score>[0]) => {
        asked.push(request.rows.length);
        return pool.score(request);
      },
    };
    const request = { version: linear.version, batch, rows: rows.map((_, i) => i), timeoutMs: PATIENCE };
    const { outputs, faults } = await scoreIsolating(counting, { ...request, priority: 'batch' });
    expect([outputs.size, [...faults.keys()], asked]).toEqual([98, [7, 93], [100, 98]]);
  });

  it('reports users and CPU time of each answered run', async () => {
    const runs: FinishedRun[] = [];
    open({ processes: 1, onRun: (run) => runs.push(run) });
    await scoresOf(pool, loop, [
      [A_WHILE, 1],
      [A_WHILE, 2],
    ]);
    const { artifactHash, rows, ms, cpuMs } = runs[0] as FinishedRun;
    expect([runs.length, artifactHash, rows]).toEqual([1, loop.version.artifactHash, 2]);
    // CPU time never exceeds wall time, and is less if other processes used the processor.
    expect(cpuMs).toBeGreaterThan(5);
    expect(cpuMs).toBeLessThan(ms * 1.2 + 20);
  });

  it('reports each replaced child, with the reason', async () => {
    const restarts: string[] = [];
    open({ processes: 1, killGraceMs: 10, onRestart: (why) => restarts.push(why) });
    await pool.warmUp(loop.version);
    await scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 100 }).catch(() => {});
    await vi.waitFor(() => expect(restarts).toEqual(['deadline']), PATIENCE);
    await scoresOf(pool, loop, [[1, 1]]);
    process.kill(pool.stats().pids[0] ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(restarts).toEqual(['deadline', 'killed']), PATIENCE);
    await pool.close();
    expect(restarts).toHaveLength(2);
  });

  it('is rejected with less memory than a child needs, and names the setting to fix', () => {
    expect(() => poolOf([linear], { memoryLimitMb: 255 })).toThrow(
      expect.objectContaining({ code: 'config_invalid', field: 'INFERENCE_MEMORY_MB', remedy: expect.any(String) }),
    );
    open();
  });

  it('pauses a hanging model, lets its process serve the others, and retries the model later', async () => {
    const rests: string[] = [];
    const { options, skip } = createPauseClock();
    const onRest = (predictor: string) => {
      rests.push(predictor);
      options.onRest();
    };
    open({ processes: 1, killGraceMs: 10, maxLostMs: 200, ...options, onRest });
    await pool.warmUp(loop.version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 500 });
    await expect(stuck).rejects.toMatchObject({ code: 'live_timeout' });
    await vi.waitFor(() => expect(rests).toEqual(['toy']), PATIENCE);
    const text = /^the model of toy is paused .* \(no answer within \d+ ms\); it is tried again in 1 s$/;
    const refused = { code: 'unavailable', retryAfter: 1, message: expect.stringMatching(text) };
    await expect(scoresOf(pool, loop, [[1, 1]])).rejects.toMatchObject(refused);
    expect(pool.stats().restingModels).toBe(1);
    const [others = 0] = await scoresOf(pool, linear, [[1, 1]]);
    expect(others).toBeCloseTo(models.linearScore([1, 2], 0.5, [1, 1]), 6);
    skip(1_000);
    expect(await scoresOf(pool, loop, [[1, 7]])).toEqual([7]);
    expect(pool.stats().restingModels).toBe(0);
  });

  it('rejects requests that wait for a model when it is paused', async () => {
    open({ processes: 1, killGraceMs: 10, maxLostMs: 200, ...createPauseClock().options });
    await pool.warmUp(loop.version);
    const stuck = scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 500 }).catch((error: unknown) => error);
    await letRunsBegin();
    await vi.waitFor(() => expect(pool.stats().idle).toBe(0), PATIENCE);
    await expect(scoresOf(pool, loop, [[1, 2]], { timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await stuck).toMatchObject({ code: 'live_timeout' });
  });

  it('runs batches of a paused model, since they isolate poison users themselves', async () => {
    open({ processes: 1, killGraceMs: 10, maxLostMs: 200, ...createPauseClock().options });
    await pool.warmUp(loop.version);
    await scoresOf(pool, loop, [[FOR_EVER, 1]], { timeoutMs: 500 }).catch(() => {});
    await vi.waitFor(() => expect(pool.stats().restingModels).toBe(1), PATIENCE);
    expect(await scoresOf(pool, loop, [[1, 3]], { priority: 'batch' })).toEqual([3]);
  });

  it('scores a batch that shared a run with a request that never ends, however long it took', async () => {
    open({ processes: 1, killGraceMs: 50 });
    await pool.warmUp(loop.version);
    const options = { priority: 'batch', timeoutMs: 300 } as const;
    const hanging = scoresOf(pool, loop, [[FOR_EVER, 1]], options).catch((error: unknown) => error);
    const innocent = scoresOf(pool, loop, [[0, 7]], options);
    expect(await hanging).toBeInstanceOf(ScoringCrash);
    expect(await innocent).toEqual([7]);
  });

  it('runs a live request before the next slice of a batch', async () => {
    open({ processes: 1, sliceRows: 1 });
    await pool.warmUp(loop.version);
    const order: string[] = [];
    const batch = scoresOf(
      pool,
      loop,
      Array.from({ length: 8 }, () => [A_WHILE / 2, 1]),
      { priority: 'batch' },
    ).then(() => order.push('batch'));
    await vi.waitFor(() => expect(pool.stats().waitingRows.batch).toBeLessThan(8), PATIENCE);
    await scoresOf(pool, loop, [[1, 1]]);
    order.push('live');
    await batch;
    expect(order).toEqual(['live', 'batch']);
  });

  it('rejects an artifact that is not the registered one, and does not retry it at once', async () => {
    const loadArtifact = vi.fn(async () => linear.bytes);
    open({ processes: 1, loadArtifact });
    for (let i = 0; i < 3; i++) {
      await expect(scoresOf(pool, loop, [[1, 1]])).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('registered artifact'),
      });
    }
    expect(loadArtifact).toHaveBeenCalledTimes(1);
  });

  it('keeps models within the memory of a child, and reloads unloaded models', async () => {
    // Each model has 12 MB of weights. A child of 256 MB has no room for an eleventh.
    const several = Array.from({ length: 10 }, (_, i) =>
      matrixPredictor(denseModel({ width: 2 + i, units: 1_250, layers: 3 }), 2 + i),
    );
    const loads: string[] = [];
    let unloaded = 0;
    const onLoad: InferencePoolOptions['onLoad'] = (when, count) => {
      loads.push(when);
      unloaded += count;
    };
    pool = poolOf(several, { processes: 1, memoryLimitMb: 256, onLoad });
    const score = (i: number) => scoresOf(pool, several[i] as ToyPredictor, [Array<number>(2 + i).fill(1)]);
    for (const i of several.keys()) await score(i);
    const { held, bytes } = pool.stats().models;
    expect([loads, held + unloaded]).toEqual([several.map(() => 'on_demand'), several.length]);
    expect(unloaded).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(96 * 1024 * 1024);
    const { pids } = pool.stats();
    // The last model is loaded; the first was the least recently used.
    await score(9);
    expect(loads).toHaveLength(10);
    await score(0);
    expect(loads).toHaveLength(11);
    expect(pool.stats().pids).toEqual(pids);
  });

  it('rejects a model that alone exceeds the memory, with the remedy', async () => {
    const large = matrixPredictor(Buffer.alloc(96 * 1024 * 1024 + 1), 2);
    pool = poolOf([large], { processes: 1, memoryLimitMb: 256 });
    await expect(scoresOf(pool, large, [[1, 1]])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('takes 97 MB of memory, more than the 96 MB that models may take'),
      remedy: expect.stringContaining('raise INFERENCE_MEMORY_MB, which is 256'),
    });
  });

  it('finishes runs under way when it closes, and accepts no new ones', async () => {
    open({ processes: 1 });
    await pool.warmUp(loop.version);
    const { pids } = pool.stats();
    const under = scoresOf(pool, loop, [[A_WHILE, 3]]);
    const closing = pool.close(PATIENCE);
    await expect(scoresOf(pool, loop, [[1, 1]])).rejects.toMatchObject({ code: 'unavailable' });
    expect(await under).toEqual([3]);
    await closing;
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('kills runs that do not finish within the grace period when it closes', async () => {
    open({ processes: 1 });
    await pool.warmUp(loop.version);
    const { pids } = pool.stats();
    const stuck = expect(scoresOf(pool, loop, [[FOR_EVER, 3]], { timeoutMs: 60_000 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await pool.close(100);
    await stuck;
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});
