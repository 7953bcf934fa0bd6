/** Tests with real processes: programs that live, die and fork. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readProcess, waitUntil } from '@tandem/local-servers/process-identity';
import { openStateDir, type StateDir } from '@tandem/local-servers/state-dir';
import { type Supervised, supervise } from '@tandem/timing/supervise';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endLeftovers, startNodeProgram } from './node-process.ts';
import { createTakedown } from './takedown.ts';

let folder: string;
let stateDir: StateDir;
let lines: string[];
let running: Supervised[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-up-'));
  stateDir = await openStateDir({ path: join(folder, 'state') });
  mkdirSync(join(stateDir.path, 'logs'));
  [lines, running] = [[], []];
});
afterEach(async () => {
  for (const supervised of running) supervised.kill();
  stateDir.release();
  rmSync(folder, { recursive: true, force: true });
});

async function run(name: string, program: string): Promise<Supervised> {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, program);
  const supervised = await supervise({
    name,
    start: async () => startNodeProgram({ name, file, env: process.env, watch: false, stateDir }),
    say: (line) => lines.push(line),
    now: Date.now,
    sleep: async () => undefined,
  });
  running.push(supervised);
  return supervised;
}

const LIVE = `process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000); console.log('up');`;
const isAlive = (pid: number) => readProcess(pid) !== undefined;
const log = (name: string) => readFileSync(join(stateDir.path, 'logs', `${name}.log`), 'utf8');

test('a killed process is restarted', async () => {
  const supervised = await run('api', LIVE);
  const first = supervised.pid();
  process.kill(first, 'SIGKILL');
  expect(await waitUntil(() => supervised.pid() !== first && isAlive(supervised.pid()), 30_000)).toBe(true);
  expect(lines).toEqual(['api died (ended by SIGKILL): restarting it']);
  await supervised.stop();
  expect(isAlive(supervised.pid())).toBe(false);
});

test('a process that cannot start is given up after five failures, with the end of its log', async () => {
  const supervised = await run('worker', `console.error('no such table: users'); process.exit(3);`);
  expect(await supervised.givenUp).toBe('worker died 5 times in a row (exit code 3):\nno such table: users');
  expect(lines).toHaveLength(4);
});

test('the children of a dead process are ended', async () => {
  const supervised = await run(
    'api',
    `import { spawn } from 'node:child_process';
     console.log(spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' }).pid);
     setInterval(() => {}, 1000);`,
  );
  expect(await waitUntil(() => /\d+\n/.test(log('api')), 30_000)).toBe(true);
  const child = Number.parseInt(log('api'), 10);
  process.kill(supervised.pid(), 'SIGKILL');
  expect(await waitUntil(() => !isAlive(child), 30_000)).toBe(true);
});

test('a stopped process stays stopped, and its record is removed', async () => {
  const supervised = await run('api', LIVE);
  expect(stateDir.listProcesses().map(({ name }) => name)).toEqual(['api']);
  expect(await waitUntil(() => log('api') === 'up\n', 30_000)).toBe(true);
  await supervised.stop();
  expect(stateDir.listProcesses()).toEqual([]);
  expect(lines).toEqual([]);
});

test('the next start ends the processes that a killed `up` left', async () => {
  const file = join(folder, 'worker.mjs');
  writeFileSync(file, LIVE);
  // The program is started without a supervisor, as if the supervisor had been killed.
  const { pid: left } = startNodeProgram({ name: 'worker', file, env: process.env, watch: false, stateDir });
  expect(await waitUntil(() => log('worker') === 'up\n', 30_000)).toBe(true);
  await endLeftovers(stateDir, (line) => lines.push(line));
  expect(isAlive(left)).toBe(false);
  expect(lines[0]).toBe(`stopping the worker that an earlier run left (process ${left})`);
});

test('everything ends in reverse order, even if a part fails to end', async () => {
  const ended: string[] = [];
  const takedown = createTakedown((line) => lines.push(line));
  for (const name of ['postgres', 'api', 'worker']) {
    takedown.add({
      name,
      stop: async () => {
        ended.push(name);
        if (name === 'api') throw new Error('stuck');
      },
      kill: () => ended.push(`${name} killed`),
    });
  }
  await takedown.stopAll();
  expect(ended).toEqual(['worker', 'api', 'postgres']);
  expect(lines).toEqual(['api did not end in order: stuck']);
});

test('a second request during the end kills all remaining processes', async () => {
  const ended: string[] = [];
  const takedown = createTakedown(() => undefined);
  takedown.add({ name: 'postgres', stop: async () => undefined, kill: () => ended.push('postgres') });
  takedown.add({ name: 'api', stop: () => new Promise(() => undefined), kill: () => ended.push('api') });
  void takedown.stopAll();
  takedown.killAll();
  expect(ended).toEqual(['api', 'postgres']);
});

test('a renewed process ends in order after its replacement has started', async () => {
  const supervised = await run('renewed', LIVE);
  const first = supervised.pid();
  expect(await waitUntil(() => log('renewed').includes('up'), 30_000)).toBe(true);
  await supervised.renew();
  expect(supervised.pid()).not.toBe(first);
  expect([isAlive(first), isAlive(supervised.pid())]).toEqual([false, true]);
  expect(lines).toEqual([]);
  await supervised.stop();
});

test('a process keeps running if its replacement does not start', async () => {
  const file = join(folder, 'kept.mjs');
  writeFileSync(file, LIVE);
  const wereAlive: boolean[] = [];
  let canStart = true;
  const supervised: Supervised = await supervise({
    name: 'kept',
    start: async () => {
      if (running[0]) wereAlive.push(isAlive(running[0].pid()));
      if (!canStart) throw new Error('no such file');
      return startNodeProgram({ name: 'kept', file, env: process.env, watch: false, stateDir });
    },
    say: (line) => lines.push(line),
    now: Date.now,
    sleep: async () => undefined,
  });
  running.push(supervised);
  const first = supervised.pid();
  canStart = false;
  await expect(supervised.renew()).rejects.toThrow('no such file');
  expect([supervised.pid(), isAlive(first)]).toEqual([first, true]);
  canStart = true;
  await supervised.renew();
  expect(wereAlive).toEqual([true, true]);
  expect(isAlive(first)).toBe(false);
  process.kill(supervised.pid(), 'SIGKILL');
  expect(await waitUntil(() => lines.length === 1, 30_000)).toBe(true);
  await supervised.stop();
});
