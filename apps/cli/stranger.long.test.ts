/**
 * Tests of the steps of README.md, docs/quick-start.md and docs/models.md: servers only, a CSV file, `load`, `init`,
 * `check`, `up`.
 */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import { findFreePort } from '@tandem/local-servers/ports';
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliProcess, runCli, startCli } from './cli.fixture.ts';
import { allowSlowReads } from './init/written-config.fixture.ts';

let folder: string;
let processes: CliProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem stranger-'));
  processes = [];
});

afterEach(async () => {
  for (const one of processes) one.kill('SIGTERM');
  await Promise.all(processes.map(({ ended }) => ended));
  await rm(folder, { recursive: true, force: true });
});

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await runCli([...args, '--json'], { cwd: folder, env: {} });
  expect({ args, code, err }).toEqual({ args, code: 0, err: '' });
  return JSON.parse(out);
}

async function start(...args: string[]): Promise<CliProcess> {
  const started = startCli(args, { cwd: folder, env: {} });
  processes.push(started);
  await started.waitFor(/Ctrl-C stops everything/);
  return started;
}

const WEIGHTS = [0.5, -1];
const ACCOUNTS = Array.from({ length: 20 }, (_, i) => ({ account: `a ${i + 1}`, row: [(i + 1) % 7, (i + 1) / 10] }));

/** Writes a user's export of accounts, and the expected predictions of the training. */
async function writeFiles(): Promise<void> {
  const accounts = ACCOUNTS.map(({ account, row }) => `${account},${row.join(',')},2026-01-31 10:00\n`);
  await writeFile(join(folder, 'accounts.csv'), `account,logins,spent,loaded_at\n${accounts.join('')}`);
  const scores = ACCOUNTS.map(({ account, row }) => `${account},${linearScore(WEIGHTS, 0.1, row)}\n`);
  await writeFile(join(folder, 'scores.csv'), `account,score\n${scores.join('')}`);
  await writeFile(join(folder, 'churn.onnx'), linearModel({ weights: WEIGHTS, bias: 0.1 }));
}

test('an unknown model and table are served', async () => {
  const port = await findFreePort();
  // The example shop may still use its API port, which `up --servers` does not need.
  const example = createServer().listen(port, '127.0.0.1');
  await once(example, 'listening');
  const servers = await start('up', '--servers', '--port', String(port));
  example.close();
  await writeFiles();
  expect(await json('load', 'accounts.csv', '--key', 'account')).toMatchObject({ table: 'accounts', rows: 20 });
  const written = await json('init', '--model', 'churn.onnx', '--table', 'accounts', '--key', 'account');
  expect(written).toMatchObject({ predictor: 'churn', asOf: 'loaded_at', undecided: [] });
  const { summary, samples, golden } = await json('check', '--golden', 'scores.csv');
  expect({ summary, samples, golden }).toMatchObject({
    summary: 'no problems found',
    samples: [{ predictor: 'churn' }],
    golden: { users: 20, equal: 20 },
  });
  await allowSlowReads(folder);
  servers.kill('SIGTERM');
  expect((await servers.ended).code).toBe(0);

  await start('up', '--port', String(port));
  const client = createClient({ url: `http://127.0.0.1:${port}` });
  const stored = await client.predict('churn', 'a 12');
  expect(stored.answer).toMatchObject({ source: 'batch', reason: 'fresh' });
  expect(stored.answer?.prediction.score).toBeCloseTo(linearScore(WEIGHTS, 0.1, [5, 1.2]), 5);
  await client.sendEvents([{ subject: 'a 12', type: 'visited', data: { logins: 1 } }]);
  const live = await client.predict('churn', 'a 12');
  expect(live.answer?.source).toBe('live');
  expect(live.answer?.prediction.score).toBeCloseTo(linearScore(WEIGHTS, 0.1, [1, 1.2]), 5);
}, 240_000);
