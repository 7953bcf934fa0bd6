/** Tests of the launcher of the npm package on a Node that is too old, where the program is a child process. */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

let folder: string;

const OLD_NODE = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.0' } });`;

/** Prints each signal. Ends when the launcher has looked at its parent twice more after the first signal. */
const PROGRAM = `
  setInterval(() => {}, 60_000);
  for (const name of ['SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      console.log(name);
      setTimeout(() => process.exit(), 1_200);
    });
  }
  console.log('runs');
`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem launcher-'));
  const files = {
    'package.json': JSON.stringify({ type: 'module', tandem: { node: '99.0.0' } }),
    'old-node.mjs': OLD_NODE,
    'dist/apps/cli/main.js': PROGRAM,
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  for (const name of ['bin', 'tandem/node-99.0.0/bin']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(join(import.meta.dirname, 'launcher.mjs'), join(folder, 'bin/tandem.mjs'));
  symlinkSync(process.execPath, join(folder, 'tandem/node-99.0.0/bin/node'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the launcher as npx does, in a shell that passes no signal on. Returns what the program prints. */
function printed(endIt: (shell: number) => void): Promise<string> {
  const script = '"$NODE" --import ./old-node.mjs bin/tandem.mjs; exit $?';
  const env = { ...process.env, NODE: process.execPath, XDG_CACHE_HOME: folder, npm_lifecycle_script: 'tandem' };
  const shell = spawn('sh', ['-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  let output = '';
  shell.stdout.on('data', (text) => {
    output += text;
    if (output === 'runs\n' && shell.pid !== undefined) endIt(shell.pid);
  });
  return new Promise((resolve) => shell.once('close', () => resolve(output)));
}

test('the program gets one SIGTERM after SIGTERM has ended the shell of npx', async () => {
  expect(await printed((shell) => process.kill(shell, 'SIGTERM'))).toBe('runs\nSIGTERM\n');
});

test('the program gets no SIGTERM after its terminal has closed', async () => {
  expect(await printed((shell) => process.kill(-shell, 'SIGHUP'))).toMatch(/^runs\n(SIGHUP\n){1,2}$/);
});
