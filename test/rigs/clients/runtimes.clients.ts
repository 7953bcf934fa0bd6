/**
 * The client in an application of its own, without this repository: the bundle as a package, on Node 20, Bun and Deno,
 * against a real API. Each runtime is a package of npm. A runtime that npm cannot install here is skipped with the
 * reason.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { arch, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'rolldown';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestApi } from '../../../apps/api/api.fixture.ts';
import { createCheckoutApi } from '../../../apps/api/checkout.fixture.ts';
import { type RunningServer, startServer } from '../../../apps/api/server.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../..');

interface Runtime {
  readonly name: string;
  /** The package of npm that holds the program of this platform, and the program's place in it. */
  readonly specifier: string;
  readonly program: string;
  readonly args: readonly string[];
}

const here = `${platform()}-${arch()}`;
const bun = `@oven/bun-${platform()}-${arch() === 'arm64' ? 'aarch64' : arch()}`;
const RUNTIMES: readonly Runtime[] = [
  { name: 'Node 20', specifier: `node-${here}@20.20.2`, program: `node-${here}/bin/node`, args: [] },
  { name: 'Bun', specifier: `${bun}@1.4.5`, program: `${bun}/bin/bun`, args: ['run'] },
  {
    name: 'Deno',
    specifier: `@deno/${here}-glibc@2.9.6`,
    program: `@deno/${here}-glibc/deno`,
    args: ['run', '--allow-net', '--node-modules-dir=manual'],
  },
];

let api: TestApi;
let http: RunningServer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-runtimes-'));
  const client = join(folder, 'node_modules/@tandem/client');
  await mkdir(client, { recursive: true });
  const input = join(root, 'libs/client/index.ts');
  await build({ input, platform: 'neutral', output: { file: join(client, 'index.js') } });
  await writeFile(join(client, 'package.json'), JSON.stringify(PACKAGE));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await copyFile(join(import.meta.dirname, 'consumer.mjs'), join(folder, 'consumer.mjs'));
  api = await createCheckoutApi();
  http = await startServer({ host: '127.0.0.1', port: 0, fetch: api.app.fetch });
});

afterAll(async () => {
  await http?.close(0);
  await api?.close();
  await rm(folder, { recursive: true, force: true });
});

const PACKAGE = { name: '@tandem/client', version: '0.0.0', type: 'module', exports: { '.': './index.js' } };

it.for(RUNTIMES)('the client’s consumer runs on $name', async ({ name, specifier, program, args }, { skip }) => {
  const home = join(root, '.tandem/clients', name.toLowerCase().replace(' ', '-'));
  await mkdir(home, { recursive: true });
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--loglevel=error'];
  const problem = await run('npm', ['install', '--prefix', home, ...flags, specifier]).then(
    () => null,
    (error: Error) => error.message,
  );
  if (problem !== null) skip(`${name} cannot be installed here: ${problem}`);
  const command = [...args, 'consumer.mjs', `http://127.0.0.1:${http.port}`];
  const { stdout } = await run(join(home, 'node_modules', program), command, { cwd: folder, timeout: 60_000 });
  expect(stdout.trim()).toBe('OK');
});
