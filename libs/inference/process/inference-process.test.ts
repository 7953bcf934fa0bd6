import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as models from '@tandem/testing/onnx-models';
import { describe, expect, it, vi } from 'vitest';
import { matrixPredictor, poolOf, scoresOf } from '../live/toy-predictor.fixture.ts';
import { InferenceProcess, START_LIMIT } from './inference-process.ts';
import { cpuLimit } from './time-limit.ts';

const start = () => new InferenceProcess({ memoryLimitMb: 512, boundData: true, startLimit: START_LIMIT });
const LIMIT = cpuLimit(10_000);
/**
 * Returns whether a process is alive. An ended process that its parent has not reaped still answers to kill, but on
 * Linux its state shows it.
 */
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

describe('an inference process', () => {
  it('dies soon after its parent, even inside a run that never ends', async () => {
    // The parent runs the endless loop, and is killed without a chance to clean up.
    const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const child = Number(line);
    expect(isAlive(child)).toBe(true);
    parent.kill('SIGKILL');
    // It takes 0.1 s with a free processor. The bound allows for a busy machine. Without the watchdog, the child never
    // ends.
    await vi.waitFor(() => expect(isAlive(child)).toBe(false), { timeout: 20_000, interval: 20 });
  }, 60_000);

  it.runIf(process.platform === 'linux')('has no secrets in its environment and no working directory', async () => {
    vi.stubEnv('DATABASE_URL', 'postgres://secret');
    vi.stubEnv('NODE_COMPILE_CACHE', process.env.NODE_COMPILE_CACHE || join(tmpdir(), 'tandem-test-compile-cache'));
    const child = start();
    await child.ready;
    const environment = readFileSync(`/proc/${child.pid}/environ`, 'utf8').split('\0').filter(Boolean);
    expect(
      environment
        .map((entry) => entry.split('=')[0])
        .filter((name) => !SHELL_NAMES.has(name ?? '') && !SHARED_NAMES.has(name ?? ''))
        .sort(),
    ).toEqual(['MALLOC_MMAP_THRESHOLD_', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']);
    child.kill('the test is over');
    await child.ended;
    vi.unstubAllEnvs();
  });

  it('keeps compiled code in the cache of its parent, so that the next child starts faster', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tandem-compiled-'));
    vi.stubEnv('NODE_COMPILE_CACHE', folder);
    const child = start();
    await child.ready;
    const files = () => readdirSync(folder, { recursive: true }).length;
    // Waits for the modules of the main thread, which are more than those of the watchdog.
    await vi.waitFor(() => expect(files()).toBeGreaterThan(10), { timeout: 20_000, interval: 20 });
    child.kill('the test is over');
    await child.ended;
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  it.runIf(process.platform === 'linux')('gives its parent precedence if both need the processor', async () => {
    const child = start();
    await child.ready;
    expect(getPriority(child.pid)).toBe(Math.min(19, getPriority() + 10));
    // If sessions are scheduled as groups, the group's nice value counts. A process may be in no group.
    const groupOf = (pid: number | string = 0) =>
      existsSync('/proc/self/autogroup') && / nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1];
    const nicer = Math.min(19, Number(groupOf('self') || getPriority()) + 10);
    if (groupOf(child.pid)) await vi.waitFor(() => expect(groupOf(child.pid)).toBe(`${nicer}`), { timeout: 20_000 });
    child.kill('the test is over');
    await child.ended;
  });

  it('is ended when its memory exceeds the limit, unless the kernel refuses the memory before', async () => {
    const child = new InferenceProcess({ memoryLimitMb: 256, boundData: false, startLimit: START_LIMIT });
    await child.ready;
    await child.load({ session: 'm', bytes: models.memoryModel(), sha256: null }, LIMIT);
    const feeds = [{ name: 'features', type: 'float32' as const, dims: [1, 2], data: Float32Array.of(250_000_000, 1) }];
    await expect(child.run({ session: 'm', feeds, fetches: ['score'], rowByRow: false }, LIMIT)).rejects.toThrow(
      'it took more than 256 MB of memory',
    );
  });

  it('is ended only by its parent: it ignores Ctrl-C and SIGTERM', async () => {
    const child = start();
    await child.ready;
    process.kill(child.pid ?? 0, 'SIGINT');
    process.kill(child.pid ?? 0, 'SIGTERM');
    await expect(child.load(file('a'), LIMIT)).resolves.toMatchObject({
      signature: { inputs: [{ name: 'features' }] },
    });
    child.kill('the test is over');
    await child.ended;
  });

  it('keeps its memory constant over hundreds of loaded and released models', async () => {
    const child = start();
    await child.ready;
    const resident: number[] = [];
    for (let i = 0; i < 300; i++) {
      const { rssBytes } = await child.load(file(`s${i}`), LIMIT);
      await child.unload([`s${i}`], LIMIT);
      resident.push(rssBytes / 1024 / 1024);
    }
    child.kill('the test is over');
    await child.ended;
    // Without the release, each session would keep about 1 MB.
    expect((resident[299] ?? 0) - (resident[99] ?? 0)).toBeLessThan(40);
  }, 60_000);
});

describe('the event loop of the parent', () => {
  it('keeps turning while a child is inside a run', async () => {
    const loop = matrixPredictor(models.loopModel(), 2);
    const pool = poolOf([loop], { processes: 1 });
    await pool.warmUp(loop.version);
    let isRunning = true;
    const run = scoresOf(pool, loop, [[2 ** 62, 1]], { timeoutMs: 60_000 }).catch(() => {
      isRunning = false;
    });
    for (let turn = 0; turn < 5_000; turn++) await new Promise(setImmediate);
    expect(isRunning).toBe(true);
    await pool.close(0);
    await run;
  }, 30_000);

  it('is idle most of the time while the children are saturated with batches and live requests', async () => {
    const loop = matrixPredictor(models.loopModel(), 2);
    const pool = poolOf([loop], { processes: 1 });
    // Each slice takes 15 ms or more. If the slices ran in this process, it would always be busy.
    const chunk = Array.from({ length: 5_000 }, (_, i) => [20_000, i]);
    const ask = (rows: number[][], priority: 'live' | 'batch') => scoresOf(pool, loop, rows, { priority });
    await pool.warmUp(loop.version);
    const before = performance.eventLoopUtilization();
    await Promise.all([
      ...[1, 2].map(() => ask(chunk, 'batch')),
      ...Array.from({ length: 16 }, async (_, i) => {
        for (let n = 0; n < 20; n++) await ask([[2_000, i]], 'live');
      }),
    ]);
    const { utilization } = performance.eventLoopUtilization(before);
    await pool.close();
    // A share is measured, not a time, since a busy machine delays the children as much as their parent.
    expect(utilization).toBeLessThan(0.6);
  }, 60_000);
});

/** Variables that a shell sets for itself. */
const SHELL_NAMES = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);
/** Variables that a child inherits from its parent. */
const SHARED_NAMES = new Set(['LD_LIBRARY_PATH', 'NODE_COMPILE_CACHE']);

const file = (session: string) => ({ session, bytes: models.linearModel({ weights: [1, 2, 3] }), sha256: null });

const PARENT = `
  import * as models from '${import.meta.resolve('@tandem/testing/onnx-models')}';
  import { matrixPredictor, poolOf, scoresOf } from '${new URL('../live/toy-predictor.fixture.ts', import.meta.url)}';
  const loop = matrixPredictor(models.loopModel(), 2);
  const pool = poolOf([loop], { processes: 1 });
  await pool.warmUp(loop.version);
  scoresOf(pool, loop, [[2 ** 62, 1]], { timeoutMs: 60_000 });
  setTimeout(() => console.log(pool.stats().pids[0]), 200);
`;
