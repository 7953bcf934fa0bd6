/** From nothing to answering and back, with servers of its own; and again after a kill. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import { waitUntil } from '@tandem/local-servers/end-process';
import { findFreePort } from '@tandem/local-servers/ports';
import { readProcess } from '@tandem/local-servers/process-identity';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliProcess, startCli } from '../cli.fixture.ts';

let folder: string;
let port: number;
let processes: CliProcess[];

beforeEach(async () => {
  // A space in the path, and no way in for others.
  folder = await mkdtemp(join(tmpdir(), 'tandem up-'));
  port = await findFreePort();
  processes = [];
});

afterEach(async () => {
  for (const one of processes) one.kill('SIGTERM');
  await Promise.all(processes.map(({ ended }) => ended));
  await rm(folder, { recursive: true, force: true });
});

function up(...args: string[]): CliProcess {
  const started = startCli(['up', ...args, '--port', String(port)], { cwd: folder, env: {} });
  processes.push(started);
  return started;
}

async function pidsOf(...names: string[]): Promise<number[]> {
  const read = async (name: string) =>
    JSON.parse(await readFile(join(folder, '.tandem/processes', `${name}.json`), 'utf8'));
  return (await Promise.all(names.map(read))).map(({ pid }) => pid);
}

async function serverPids(): Promise<number[]> {
  const postmaster = await readFile(join(folder, '.tandem/postgres/cluster/postmaster.pid'), 'utf8');
  const server = JSON.parse(await readFile(join(folder, '.tandem/redis/server.json'), 'utf8'));
  return [Number(postmaster.split('\n')[0]), server.pid];
}

const running = (pids: readonly number[]) => pids.filter((pid) => readProcess(pid) !== undefined);

test('an empty folder answers; a kill -9 leaves nothing that the next start does not take over; SIGTERM ends all', async () => {
  const client = createClient({ url: `http://127.0.0.1:${port}` });
  const first = up('--example');
  await first.waitFor(/Ctrl-C stops everything/);
  expect((await client.predict('repurchase', '42')).answer).toMatchObject({ source: 'batch', generation: '1' });
  await client.sendEvents([{ subject: '42', type: 'order.placed' }]);

  const left = [...(await pidsOf('api', 'worker')), ...(await serverPids())];
  first.kill('SIGKILL');
  await first.ended;
  expect(running(left)).toEqual(left);
  // They serve on; an answer in between may be honestly stale, where the machine is too busy for a live one in time.
  const served = async () => (await client.predict('repurchase', '42')).answer;
  await expect.poll(served).toMatchObject({ source: 'live', contextVersion: 1 });

  const second = up('--example');
  await second.waitFor(/Ctrl-C stops everything/);
  expect(running(left)).toEqual([]);
  // What was acknowledged is still known, and what was computed still there.
  expect((await client.predict('repurchase', '42')).answer.contextVersion).toBe(1);
  expect((await client.predict('repurchase', '43')).answer).toMatchObject({ source: 'batch', generation: '1' });

  const mine = [...(await pidsOf('api', 'worker')), ...(await serverPids())];
  second.kill('SIGTERM');
  expect((await second.ended).code).toBe(0);
  expect(running(mine)).toEqual([]);
});

test('a second signal ends at once what does not end in good order', async () => {
  const started = up('--example');
  await started.waitFor(/Ctrl-C stops everything/);
  const mine = [...(await pidsOf('api', 'worker')), ...(await serverPids())];
  const [api = -1] = mine;
  // Stopped, it cannot follow a SIGTERM.
  process.kill(api, 'SIGSTOP');
  started.kill('SIGINT');
  await started.waitFor(/stopping everything in order/);
  const again = setInterval(() => started.kill('SIGINT'), 100);
  const { code } = await started.ended;
  clearInterval(again);
  expect(code).toBe(130);
  expect(await waitUntil(() => running(mine).length === 0, 60_000)).toBe(true);
});

test('a config that is refused ends it with the setting and the remedy, nothing left running', async () => {
  const started = up();
  const { code, err } = await started.ended;
  expect(code).toBe(1);
  expect(err).toContain('tandem.config.ts: there is no such file');
  expect(err).toContain('export default defineConfig');
  expect(err).not.toMatch(/\n\s+at /);
  await expect(stat(join(folder, '.tandem/postgres/cluster/postmaster.pid'))).rejects.toThrow('ENOENT');
});
