/**
 * An npm registry on a free port, in a temporary folder. It serves packages published to it, and forwards requests for
 * others.
 */
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findFreePort } from '@tandem/local-servers/ports';
import { mustRun, provideTool } from './tools.ts';

export interface Registry {
  readonly url: string;
  publish(folder: string): Promise<void>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 100;

export async function startRegistry(folder: string): Promise<Registry> {
  const program = await provideTool('verdaccio', 'bin/verdaccio');
  const [port, uplink] = [await findFreePort(), (await mustRun('npm', ['config', 'get', 'registry'])).trim()];
  const url = `http://127.0.0.1:${port}/`;
  await writeFile(join(folder, 'config.yaml'), configuration(folder, uplink));
  const log = openSync(join(folder, 'registry.log'), 'w');
  const args = [program, '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', log, log] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const ready = AbortSignal.timeout(READY_WITHIN_MS);
  while (!(await answers(`${url}-/ping`))) {
    if (!ready.aborted && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    else throw new Error(`the registry did not start: ${await readFile(join(folder, 'registry.log'), 'utf8')}`);
  }
  const npmrc = join(folder, 'npmrc');
  await writeFile(npmrc, `registry=${url}\n//127.0.0.1:${port}/:_authToken=${await createUser(url)}\n`);
  return {
    url,
    publish: async (published) => {
      await mustRun('npm', ['publish', published, '--userconfig', npmrc, '--loglevel=error'], { cwd: folder });
    },
    stop,
  };
}

function configuration(folder: string, uplink: string): string {
  const own = ['  access: $all', '  publish: $authenticated'].map((line) => `  ${line}`).join('\n');
  return `storage: ${JSON.stringify(join(folder, 'storage'))}
auth:
  htpasswd:
    file: ${JSON.stringify(join(folder, 'htpasswd'))}
uplinks:
  npm:
    url: ${uplink}
    timeout: 120s
packages:
  tandem:
${own}
  '@tandem/*':
${own}
  '**':
    access: $all
    proxy: npm
max_body_size: 200mb
log: { type: stdout, format: pretty, level: warn }
`;
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function createUser(url: string): Promise<string> {
  const response = await fetch(`${url}-/user/org.couchdb.user:publisher`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'publisher', password: 'published for a test' }),
  });
  const { token } = (await response.json()) as { token: string };
  return token;
}
