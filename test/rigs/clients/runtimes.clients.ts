/**
 * Tests the client in a separate application on Node 20, Bun and Deno, against a real API. Each runtime is an npm
 * package. A runtime that npm cannot install here is skipped with the reason.
 */
import { execFile } from 'node:child_process';
import { arch, platform } from 'node:os';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Application, createApplication, installProgram } from './application.ts';

const run = promisify(execFile);

interface Runtime {
  readonly name: string;
  /** The npm package with the program for this platform. */
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

let application: Application;
beforeAll(async () => {
  application = await createApplication();
});
afterAll(() => application?.close());

it.for(RUNTIMES)('the client’s consumer runs on $name', async ({ name, specifier, program, args }, { skip }) => {
  const { path, problem } = await installProgram(name, specifier, program);
  if (path === null) return skip(problem);
  const { folder, url, silentUrl } = application;
  const { stdout } = await run(path, [...args, 'program.mjs', url, silentUrl], { cwd: folder, timeout: 60_000 });
  expect(stdout.trim()).toBe('OK');
});
