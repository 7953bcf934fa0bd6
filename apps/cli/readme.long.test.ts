/**
 * Runs the commands of README.md: the example with its requests and its application, and the commands that serve a
 * user's model.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { findFreePort } from '@tandem/local-servers/ports';
import { createPool } from '@tandem/offline-store/sql/database';
import { createEmptyDatabase, type TestDatabase } from '@tandem/testing/databases';
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { type CliPlace, type CliProcess, runCli, startCli } from './cli.fixture.ts';
import { allowSlowReads } from './init/written-config.fixture.ts';

const ROOT = join(import.meta.dirname, '../..');
const README_URL = 'http://127.0.0.1:8080';

let folder: string;
let port: number;
let processes: CliProcess[];
const databases: TestDatabase[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem readme-'));
  port = await findFreePort();
  processes = [];
});

afterEach(async () => {
  for (const one of processes) one.kill('SIGTERM');
  await Promise.all(processes.map(({ ended }) => ended));
  for (const one of databases.splice(0)) await one.drop();
  await rm(folder, { recursive: true, force: true });
});

/** Returns the first block of a language after some words, with the port of this test. */
async function blockOf(language: string, words: string): Promise<string> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const [, below = ''] = readme.split(words);
  const block = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(below)?.[1];
  if (block === undefined) throw new Error(`README.md has no ${language} block behind "${words}"`);
  return block.replaceAll(README_URL, `http://127.0.0.1:${port}`);
}

async function start(args: readonly string[], env: CliPlace['env'] = {}): Promise<void> {
  const started = startCli([...args, '--port', String(port)], { cwd: folder, env });
  processes.push(started);
  await started.waitFor(/Ctrl-C stops everything/);
}

/** Runs a program that must exit with 0 and returns its output. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  expect({ args, code, err: code === 0 ? '' : err }).toEqual({ args, code: 0, err: '' });
  return out;
}

test('the requests of the example return a stored and a live answer, and its application prints one', async () => {
  await start(['up', '--example']);
  const lines = (await blockOf('sh', 'Then read a')).replaceAll('\\\n', ' ').trim().split('\n');
  expect(lines).toHaveLength(3);
  const answers: string[] = [];
  for (const line of lines) answers.push(await run('sh', ['-c', line.replace('curl ', 'curl --silent --show-error ')]));
  expect(answers[0]).toMatch(/^HTTP\/1\.1 200 .*"source":"batch","reason":"fresh"/s);
  expect(answers[1]).toMatch(/^HTTP\/1\.1 202 .*"status":"accepted"/s);
  expect(answers[2]).toMatch(/^HTTP\/1\.1 200 .*"source":"(live|stale)"/s);
  const printed = await run(process.execPath, [
    '--input-type=module-typescript',
    '-e',
    await blockOf('ts', '# Tandem'),
  ]);
  expect(printed).toMatch(/^0\.\d+ (live|stale) \w+\n$/);
});

test("the commands of the page serve a user's model", async () => {
  const weights = [0.5, -1];
  const rowOf = (id: number) => [id % 7, id / 10];
  const database = await createEmptyDatabase(inject('databaseUrl'));
  databases.push(database);
  const pool = createPool({ url: database.url, applicationName: 'readme-test' });
  await pool.query('create table customers (customer_id bigint primary key, logins real, spent real)');
  for (let id = 1; id <= 50; id++) await pool.query('insert into customers values ($1, $2, $3)', [id, ...rowOf(id)]);
  await pool.end();
  await writeFile(join(folder, 'churn.onnx'), linearModel({ weights, bias: 0.1 }));

  const lines = (await blockOf('sh', 'Serve your own model')).trim().split('\n');
  expect(lines).toHaveLength(4);
  const [address = '', init = '', up = '', request = ''] = lines;
  expect(address).toMatch(/^export DATABASE_URL=postgres:/);
  const env = { DATABASE_URL: database.url };
  const written = await runCli(argumentsOf(init), { cwd: folder, env });
  expect(written).toMatchObject({ code: 0, err: '' });
  await allowSlowReads(folder);
  await start(argumentsOf(up), env);
  const answer = JSON.parse(await run('sh', ['-c', request.replace('curl ', 'curl --silent --show-error ')]));
  expect(answer).toMatchObject({ source: 'batch', reason: 'fresh' });
  expect(answer.prediction.score).toBeCloseTo(linearScore(weights, 0.1, rowOf(42)), 5);
}, 240_000);

/** Returns the words after `npx tandem`. */
function argumentsOf(line: string): string[] {
  expect(line).toMatch(/^npx tandem /);
  return line.split(' ').slice(2);
}
