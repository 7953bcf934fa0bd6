import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import * as models from '@tandem/testing/onnx-models';
import { describe, expect, it, vi } from 'vitest';
import { startInferenceProcess } from './inference-process.ts';
import { matrixPredictor, poolOf, scoresOf } from './toy-predictor.ts';

const start = () => startInferenceProcess({ memoryLimitMb: 512, boundData: true, startTimeoutMs: 10_000 });
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('an inference process', () => {
  it('dies within two seconds of its parent, also inside a run that never ends', async () => {
    // A parent that runs the endless loop and is killed with no chance to say goodbye.
    const parent = spawn(process.execPath, ['--input-type=module', '-e', PARENT], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const child = Number(line);
    expect(isAlive(child)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(isAlive(child)).toBe(false), { timeout: 2_000, interval: 20 });
  }, 20_000);

  it.runIf(process.platform === 'linux')('has no secrets in its environment and no working directory', async () => {
    vi.stubEnv('DATABASE_URL', 'postgres://secret');
    const child = start();
    await child.ready;
    const environment = readFileSync(`/proc/${child.pid}/environ`, 'utf8').split('\0').filter(Boolean);
    expect(
      environment
        .map((entry) => entry.split('=')[0])
        .filter((name) => !SHELL_NAMES.has(name ?? ''))
        .sort(),
    ).toEqual(['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']);
    child.kill('the test is over');
    await child.ended;
    vi.unstubAllEnvs();
  });

  it('is ended when it holds more memory than its limit, where the kernel does not refuse it before', async () => {
    const child = startInferenceProcess({ memoryLimitMb: 256, boundData: false, startTimeoutMs: 10_000 });
    await child.ready;
    await child.load({ session: 'm', bytes: models.memoryModel(), sha256: null }, [], 5_000);
    const feeds = [{ name: 'features', type: 'float32' as const, dims: [1, 2], data: Float32Array.of(250_000_000, 1) }];
    await expect(child.run('m', feeds, ['score'], 20_000)).rejects.toThrow('it took more than 256 MB of memory');
  });

  it('leaves ending to its parent: Ctrl-C and SIGTERM do not touch it', async () => {
    const child = start();
    await child.ready;
    process.kill(child.pid ?? 0, 'SIGINT');
    process.kill(child.pid ?? 0, 'SIGTERM');
    await expect(child.load(file('a'), [], 5_000)).resolves.toMatchObject({
      signature: { inputs: [{ name: 'features' }] },
    });
    child.kill('the test is over');
    await child.ended;
  });

  it('keeps its memory flat through hundreds of loaded and released models', async () => {
    const child = start();
    await child.ready;
    const resident: number[] = [];
    for (let i = 0; i < 300; i++) {
      const { rssBytes } = await child.load(file(`s${i}`), i === 0 ? [] : [`s${i - 1}`], 5_000);
      resident.push(rssBytes / 1024 / 1024);
    }
    child.kill('the test is over');
    await child.ended;
    // Unreleased, each session would hold about 1 MB.
    expect((resident[299] ?? 0) - (resident[99] ?? 0)).toBeLessThan(40);
  }, 60_000);
});

describe('the event loop of the parent', () => {
  it('waits less than 10 ms at the 99th percentile while the children are saturated', async () => {
    const predictor = matrixPredictor(
      models.linearModel({ weights: Array.from({ length: 12 }, (_, i) => i / 100) }),
      12,
    );
    const pool = poolOf([predictor], { processes: 1 });
    const rows = (count: number) =>
      Array.from({ length: count }, (_, i) => Array.from({ length: 12 }, (_, j) => (i + j) / 50));
    const [chunk, single] = [rows(5_000), rows(1)];
    await scoresOf(pool, predictor, chunk, { priority: 'batch' });
    const delay = monitorEventLoopDelay({ resolution: 1 });
    let busy = true;
    // Twice as many requests as there are places to run them, of both kinds, one after the other without a pause.
    const repeat = async (ask: () => Promise<unknown>) => {
      while (busy) await ask();
    };
    const asking = [
      ...Array.from({ length: 2 }, () => repeat(() => scoresOf(pool, predictor, chunk, { priority: 'batch' }))),
      ...Array.from({ length: 16 }, () => repeat(() => scoresOf(pool, predictor, single))),
    ];
    delay.enable();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    delay.disable();
    busy = false;
    await Promise.all(asking);
    await pool.close();
    expect(delay.percentile(99) / 1e6).toBeLessThan(10);
  }, 30_000);
});

/** Names that a shell sets for itself. */
const SHELL_NAMES = new Set(['PWD', 'OLDPWD', 'SHLVL', '_', 'LD_LIBRARY_PATH']);

const file = (session: string) => ({ session, bytes: models.linearModel({ weights: [1, 2, 3] }), sha256: null });

const PARENT = `
  import * as models from '${import.meta.resolve('@tandem/testing/onnx-models')}';
  import { matrixPredictor, poolOf, scoresOf } from '${new URL('./toy-predictor.ts', import.meta.url)}';
  const loop = matrixPredictor(models.loopModel(), 2);
  const pool = poolOf([loop], { processes: 1 });
  await pool.warmUp(loop.version);
  scoresOf(pool, loop, [[2 ** 62, 1]], { timeoutMs: 60_000 });
  setTimeout(() => console.log(pool.stats().pids[0]), 200);
`;
