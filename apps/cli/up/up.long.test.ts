/**
 * Tests of `tandem up` with its own servers: a first start, an end, and a start after a kill. All tests use one folder
 * in turn. apps/cli/commands.e2e.test.ts has a start in `npm test`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import { findFreePort } from '@tandem/local-servers/ports';
import { readProcess, waitUntil } from '@tandem/local-servers/process-identity';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CliProcess, MAIN, startCli } from '../cli.fixture.ts';

let folder: string;
let port: number;
let processes: CliProcess[];

beforeAll(async () => {
  // The path has a space, and other users have no access to the folder.
  folder = await mkdtemp(join(tmpdir(), 'tandem up-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  port = await findFreePort();
  processes = [];
});

afterEach(async () => {
  for (const one of processes) one.kill('SIGTERM');
  await Promise.all(processes.map(({ ended }) => ended));
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

test('up serves from an empty folder with required keys: the printed lines create and send a key; SIGTERM ends all', async () => {
  const env = { API_KEYS: 'required', API_KEY_PEPPER: 'p'.repeat(40) };
  const started = startCli(['up', '--example', '--port', String(port)], { cwd: folder, env });
  processes.push(started);
  await started.waitFor(/Ctrl-C stops everything/);
  const lines = started
    .output()
    .split('\n')
    .map((line) => line.trim());
  const requests = requestsOf(lines.filter((line) => /^(export|curl) /.test(line)));
  const send = async ({ url, ...request }: Request) => (await fetch(url, request)).status;
  expect(requests).toHaveLength(3);
  const [read, event] = requests;
  if (!read || !event) throw new Error('no lines were printed');
  // Every process knows a new key within 5 s.
  await expect.poll(() => send(read)).toBe(200);
  const { url, ...request } = read;
  expect(await (await fetch(url, request)).json()).toMatchObject({ source: 'batch', generation: '1' });
  expect(await send(event)).toBe(202);

  const mine = [...(await pidsOf('api', 'worker')), ...(await serverPids())];
  started.kill('SIGTERM');
  expect((await started.ended).code).toBe(0);
  expect(running(mine)).toEqual([]);
});

test('the next start takes over everything after a kill -9, and a second signal kills parts that do not end in order', async () => {
  const client = createClient({ url: `http://127.0.0.1:${port}` });
  const first = up('--example');
  await first.waitFor(/Ctrl-C stops everything/);
  expect((await client.predict('repurchase', '44')).answer).toMatchObject({ source: 'batch', generation: '1' });
  await client.sendEvents([{ subject: '44', type: 'order.placed' }]);

  const left = [...(await pidsOf('api', 'worker')), ...(await serverPids())];
  first.kill('SIGKILL');
  await first.ended;
  expect(running(left)).toEqual(left);
  // The processes that are left continue to serve. On a busy machine, an answer may be stale meanwhile.
  const served = async () => (await client.predict('repurchase', '44')).answer;
  await expect.poll(served).toMatchObject({ source: 'live', contextVersion: 1 });

  const second = up('--example', '--api-processes', '2');
  await second.waitFor(/Ctrl-C stops everything/);
  expect(second.output()).toMatch(/^api +process \d+ with 2 API processes, log /m);
  expect(running(left)).toEqual([]);
  // The acknowledged event and the stored predictions are still there.
  expect((await client.predict('repurchase', '44')).answer.contextVersion).toBe(1);
  expect((await client.predict('repurchase', '43')).answer).toMatchObject({ source: 'batch', generation: '1' });

  const mine = [...(await pidsOf('api', 'worker')), ...(await serverPids())];
  const [api = -1] = mine;
  // A stopped process cannot handle SIGTERM.
  process.kill(api, 'SIGSTOP');
  second.kill('SIGINT');
  await second.waitFor(/stopping all processes in order/);
  const again = setInterval(() => second.kill('SIGINT'), 100);
  const { code } = await second.ended;
  clearInterval(again);
  expect(code).toBe(130);
  expect(await waitUntil(() => running(mine).length === 0, 60_000)).toBe(true);
});

/**
 * Runs a command as npx does, in a shell that is not replaced by the command. Resolves when all processes of the shell
 * have ended.
 */
async function upByShell(endIt: (shell: ChildProcess) => unknown): Promise<void> {
  const script = '"$NODE" "$MAIN" up --servers; exit $?';
  const env = { ...process.env, NODE: process.execPath, MAIN, npm_lifecycle_script: "'tandem' up --servers" };
  const shell = spawn('sh', ['-c', script], { cwd: folder, env, stdio: 'pipe' });
  const ended = new Promise((resolve) => shell.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    shell.stdout.on('data', (text) => String(text).includes('Ctrl-C stops everything') && resolve());
    shell.once('close', () => reject(new Error('it ended before it ran')));
  });
  const mine = await serverPids();
  endIt(shell);
  await ended;
  expect(running(mine)).toEqual([]);
}

test('up ends in order if SIGTERM ends only the shell of npx', async () => {
  await upByShell((shell) => shell.kill('SIGTERM'));
});

test('up ends in order if the reader of its output goes away, as in `up | head`', async () => {
  await upByShell((shell) => {
    shell.stdout?.destroy();
    // `up` prints nothing until it ends, so the signal makes it notice that the reader is gone.
    shell.kill('SIGTERM');
  });
});

test('up ends on an invalid config with the setting and the remedy, and leaves nothing running', async () => {
  const started = up();
  const { code, err } = await started.ended;
  expect(code).toBe(1);
  expect(err).toContain('tandem.config.ts: there is no such file');
  expect(err).toContain('export default defineConfig');
  expect(err).not.toMatch(/\n\s+at /);
  await expect(stat(join(folder, '.tandem/postgres/cluster/postmaster.pid'))).rejects.toThrow('ENOENT');
});

interface Request {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** Returns the requests that curl would send if the lines were pasted into a shell in this folder. */
function requestsOf(lines: readonly string[]): Request[] {
  const tell = 'console.log(JSON.stringify(process.argv.slice(1)))';
  const programs = ['npx() { shift; "$NODE" "$MAIN" "$@"; }', `curl() { "$NODE" -e '${tell}' -- "$@"; }`];
  const env = { ...process.env, API_KEY_PEPPER: 'p'.repeat(40), NODE: process.execPath, MAIN };
  const said = execFileSync('sh', ['-c', [...programs, ...lines].join('\n')], { cwd: folder, env, encoding: 'utf8' });
  return said
    .trimEnd()
    .split('\n')
    .map((line) => requestOf(JSON.parse(line)));
}

function requestOf(words: readonly string[]): Request {
  const after = (option: string) => words.flatMap((word, i) => (word === option ? [words[i + 1] ?? ''] : []));
  const [body] = after('-d');
  return {
    url: words.find((word) => word.startsWith('http')) ?? '',
    method: body === undefined ? 'GET' : 'POST',
    headers: Object.fromEntries(after('-H').map((header) => header.split(': ') as [string, string])),
    ...(body === undefined ? {} : { body }),
  };
}
