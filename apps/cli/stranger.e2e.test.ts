/** The README's walk: servers of one's own, a table, `init`, `check`, `up`, and one's own users are served. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import { findFreePort } from '@tandem/local-servers/ports';
import { createPool } from '@tandem/offline-store/database';
import { linearModel, linearScore } from '@tandem/testing/onnx-models';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliProcess, runCli, startCli } from './cli.fixture.ts';

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

/** Twenty accounts, in the database whose address the servers' terminal shows. */
async function loadTable(): Promise<void> {
  const { databaseUrl } = JSON.parse(await readFile(join(folder, '.tandem/running.json'), 'utf8'));
  const pool = createPool({ url: databaseUrl, max: 1, applicationName: 'stranger' });
  await pool
    .query(
      `create table accounts (account text primary key, logins integer, spent numeric, loaded_at timestamptz default now());
       insert into accounts select 'a ' || n, n % 7, n / 10.0 from generate_series(1, 20) n`,
    )
    .finally(() => pool.end());
}

test("a stranger's model and table are served", async () => {
  const port = await findFreePort();
  const servers = await start('up', '--servers', '--port', String(port));
  await loadTable();
  await writeFile(join(folder, 'churn.onnx'), linearModel({ weights: [0.5, -1], bias: 0.1 }));
  const written = await json('init', '--model', 'churn.onnx', '--table', 'accounts', '--key', 'account');
  expect(written).toMatchObject({ predictor: 'churn', asOf: 'loaded_at', undecided: [] });
  const { summary, samples } = await json('check');
  expect({ summary, samples }).toMatchObject({ summary: 'everything is in order', samples: [{ predictor: 'churn' }] });
  // A busy machine may take longer than the 50 ms that a read is written to wait.
  const config = await readFile(join(folder, 'tandem.config.ts'), 'utf8');
  await writeFile(join(folder, 'tandem.config.ts'), config.replace("liveTimeout: '50ms'", "liveTimeout: '20s'"));
  servers.kill('SIGTERM');
  expect((await servers.ended).code).toBe(0);

  await start('up', '--port', String(port));
  const client = createClient({ url: `http://127.0.0.1:${port}` });
  const stored = await client.predict('churn', 'a 12');
  expect(stored.answer).toMatchObject({ source: 'batch', reason: 'fresh' });
  expect(stored.answer?.prediction.score).toBeCloseTo(linearScore([0.5, -1], 0.1, [5, 1.2]), 5);
  await client.sendEvents([{ subject: 'a 12', type: 'visited', data: { logins: 1 } }]);
  const live = await client.predict('churn', 'a 12');
  expect(live.answer?.source).toBe('live');
  expect(live.answer?.prediction.score).toBeCloseTo(linearScore([0.5, -1], 0.1, [1, 1.2]), 5);
}, 240_000);
