/** What a visitor copies out of README.md: the example with its requests and its application, and the commands that serve the visitor's own model. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createClient } from '@tandem/client/create-client';
import { findFreePort } from '@tandem/local-servers/ports';
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliProcess, runCli, startCli } from './cli.fixture.ts';

const ROOT = join(import.meta.dirname, '../..');
const README_URL = 'http://127.0.0.1:8080';

let folder: string;
let port: number;
let processes: CliProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem readme-'));
  port = await findFreePort();
  processes = [];
});

afterEach(async () => {
  for (const one of processes) one.kill('SIGTERM');
  await Promise.all(processes.map(({ ended }) => ended));
  await rm(folder, { recursive: true, force: true });
});

/** The first block of a language below a heading, with this test's port. */
async function blockOf(language: string, heading?: string): Promise<string> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const section = heading === undefined ? readme : readme.slice(readme.indexOf(`\n## ${heading}\n`));
  const block = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(section)?.[1];
  if (block === undefined) throw new Error(`README.md has no ${language} block below ${heading}`);
  return block.replaceAll(README_URL, `http://127.0.0.1:${port}`);
}

async function start(...args: string[]): Promise<CliProcess> {
  const started = startCli([...args, '--port', String(port)], { cwd: folder, env: {} });
  processes.push(started);
  await started.waitFor(/Ctrl-C stops everything/);
  return started;
}

/** What a program prints that ends with 0. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  expect({ args, code, err: code === 0 ? '' : err }).toEqual({ args, code: 0, err: '' });
  return out;
}

test('the example: its requests find a stored and a live answer, its application prints one', async () => {
  await start('up', '--example');
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const requests = readme.slice(readme.indexOf('\n```sh\ncurl ') + 7, readme.indexOf('\n## Serve your own model'));
  const lines = requests
    .slice(0, requests.indexOf('```'))
    .replaceAll('\\\n', ' ')
    .replaceAll(README_URL, `http://127.0.0.1:${port}`)
    .split('\n')
    .filter((line) => line.startsWith('curl '));
  expect(lines).toHaveLength(3);
  const answers: string[] = [];
  for (const line of lines) answers.push(await run('sh', ['-c', line.replace('curl ', 'curl --silent --show-error ')]));
  expect(answers[0]).toMatch(/^HTTP\/1\.1 200 .*"source":"batch","reason":"fresh"/s);
  expect(answers[1]).toMatch(/^HTTP\/1\.1 202 .*"status":"accepted"/s);
  expect(answers[2]).toMatch(/^HTTP\/1\.1 200 .*"source":"(live|stale)"/s);
  const printed = await run(process.execPath, ['--input-type=module-typescript', '-e', await blockOf('ts')]);
  expect(printed).toMatch(/^0\.\d+ (live|stale) \w+\n$/);
});

test("the visitor's own model is served by the commands of the page", async () => {
  const weights = [0.5, -1];
  const rowOf = (id: number) => [id % 7, id / 10];
  const lines = Array.from({ length: 20 }, (_, i) => `${i + 1},${rowOf(i + 1).join(',')}\n`);
  await writeFile(join(folder, 'customers.csv'), `customer_id,logins,spent\n${lines.join('')}`);
  await writeFile(join(folder, 'churn.onnx'), linearModel({ weights, bias: 0.1 }));

  const [first, ...others] = commandsOf(await blockOf('sh', 'Serve your own model'));
  const servers = await start(...(first ?? []));
  for (const command of others) {
    const { code, out, err } = await runCli(command, { cwd: folder, env: {} });
    expect({ command, code, said: code === 0 ? '' : out + err }).toEqual({ command, code: 0, said: '' });
  }
  servers.kill('SIGTERM');
  expect((await servers.ended).code).toBe(0);

  await start('up');
  const { answer } = await createClient({ url: `http://127.0.0.1:${port}` }).predict('churn', '12');
  expect(answer).toMatchObject({ source: 'batch', reason: 'fresh' });
  expect(answer.prediction.score).toBeCloseTo(linearScore(weights, 0.1, rowOf(12)), 5);
}, 240_000);

/** The words behind `npx tandem` of each line. */
function commandsOf(block: string): string[][] {
  const commands = block.split('\n').map((line) => line.replace(/ +#.*$/, '').trim());
  return commands.filter((line) => line !== '').map((line) => line.replace(/^npx tandem /, '').split(' '));
}
