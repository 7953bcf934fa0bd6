import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRunning, readProcess } from './process-identity.ts';
import { openStateDir } from './state-dir.ts';

const module = new URL('./state-dir.ts', import.meta.url).href;

describe('openStateDir', { timeout: 20_000 }, () => {
  let path: string;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    path = join(mkdtempSync(join(tmpdir(), 'tandem state ')), '.tandem');
  });

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(join(path, '..'), { recursive: true, force: true });
  });

  /** Starts another process that tries to claim the folder. Its first line has the result. */
  const holdElsewhere = async () => {
    const script = `import(${JSON.stringify(module)}).then(({ openStateDir }) => openStateDir({ path: ${JSON.stringify(path)} }))
      .then(() => console.log('held'), (error) => console.log(error.code)); setInterval(() => undefined, 60_000);`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const [line]: string[] = await once(createInterface({ input: child.stdout }), 'line');
    return { child, line };
  };

  const sleeper = () => {
    const child = spawn('sleep', ['60']);
    children.push(child);
    return child;
  };

  it('refuses a second owner and names the process of the first', async () => {
    const { child } = await holdElsewhere();
    const second = openStateDir({ path });
    await expect(second).rejects.toMatchObject({
      code: 'in_use',
      message: expect.stringContaining(`process ${child.pid}`),
    });
  });

  it('can be claimed again after a release, and after kill -9', async () => {
    (await openStateDir({ path })).release();
    const { child } = await holdElsewhere();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const taken = await openStateDir({ path });
    taken.release();
  });

  it('has at most one owner if several processes start at once', async () => {
    const results = await Promise.all([holdElsewhere(), holdElsewhere(), holdElsewhere(), holdElsewhere()]);
    expect(results.filter(({ line }) => line === 'held').length).toBeLessThanOrEqual(1);
    expect(results.every(({ line }) => line === 'held' || line === 'in_use')).toBe(true);
  });

  it('lists recorded processes that still run, even after restarts, and ends them', async () => {
    const [kept, gone] = [sleeper(), sleeper()];
    const first = await openStateDir({ path });
    first.recordProcess('worker-1', kept.pid ?? 0);
    first.recordProcess('worker-2', gone.pid ?? 0);
    first.release();
    gone.kill('SIGKILL');
    await once(gone, 'exit');

    const second = await openStateDir({ path });
    const [recorded, ...others] = second.listProcesses();
    expect(others).toEqual([]);
    expect(recorded).toMatchObject({ name: 'worker-1', pid: kept.pid });
    if (recorded === undefined) return;
    expect(await second.endRecorded(recorded, [{ signal: 'SIGTERM', waitMs: 5_000 }])).toBe(true);
    expect(isRunning(recorded)).toBe(false);
    expect(second.listProcesses()).toEqual([]);
    second.release();
  });

  it('never ends another process with the id of a recorded one', async () => {
    const stranger = sleeper();
    const pid = stranger.pid ?? 0;
    const state = await openStateDir({ path });
    writeFileSync(join(path, 'processes/api.json'), JSON.stringify({ pid, startedAt: 'before the reboot' }));
    expect(state.listProcesses()).toEqual([]);
    const stale = { name: 'api', pid, startedAt: 'before the reboot' };
    expect(await state.endRecorded(stale, [{ signal: 'SIGKILL', waitMs: 100 }])).toBe(true);
    expect(readProcess(pid)).toBeDefined();
    state.release();
  });
});
