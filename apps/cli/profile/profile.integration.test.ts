/** Tests of `tandem profile` on a real table, a real model and its optimised build. */
import { readdirSync, readFileSync } from 'node:fs';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startCli } from '../cli.fixture.ts';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';
import type { ProfileReport } from './profile-report.ts';

// Each setting starts processes and loads a model, which takes time.
vi.setConfig({ testTimeout: 180_000 });

let place: Place;
beforeAll(async () => {
  place = await createPlace();
  await place.write('m.onnx', linearModel({ weights: [0.8, -0.5, 0.3], bias: 0.1 }));
  await place.sql(`create table customers (customer_id bigint primary key, visits float8, age float8, spent float8);
    insert into customers select n, n % 7, n % 5, n % 11 from generate_series(1, 400) n`);
  await place.tandem('init --model m.onnx --table customers --key customer_id --predictor churn');
  const { code, err } = await place.tandem('adopt');
  if (code !== 0) throw new Error(err);
});
afterAll(() => place.remove());

const SMALL = '--batches 1,16 --processes 1 --threads 1';

test('measures, recommends, draws, and writes the recommended settings', async () => {
  await place.write('settings.env', 'LOG_LEVEL=warn\nINFERENCE_BATCH_LIMIT=256\n');
  const line = `profile churn ${SMALL} --p99 10s --price-per-cpu-hour 0.04 --svg out/p.svg --json p.json --write settings.env`;
  const { code, out, err } = await place.tandem(line, { INFERENCE_PROCESSES: '1', INFERENCE_BATCH_LIMIT: '16' });
  expect(code).toBe(0);
  expect(err).toMatch(/^ +1 {2}version 1, batch 16, processes 1, threads 1: [\d,]+\/s, p99 [\d.]+ ms\n/);
  const report = JSON.parse(await place.read('p.json')) as ProfileReport;
  expect(report.measured.map(({ batch }) => batch).sort()).toEqual([1, 16]);
  for (const one of report.measured) {
    expect(one).toMatchObject({ version: 1, processes: 1, threads: 1, failed: 0, meetsTarget: true });
    expect(one.predictionsPerSecond).toBeGreaterThan(0);
    expect(one.p99Ms).toBeGreaterThanOrEqual(one.p50Ms);
    expect(one.memoryMb).toBeGreaterThan(20);
    expect(one.costPerMillion).toBeCloseTo((one.cpuMsPerThousand / 3_600) * 0.04, 9);
  }
  expect(report.current).toMatchObject({ batch: 16, processes: 1 });
  expect(out).toContain(`Recommended within 10000 ms: version 1, batches up to ${report.recommended?.batch}, `);
  expect(out).toMatch(/^version +batch +processes +threads +predictions\/s/m);
  expect(await place.read('out/p.svg')).toMatch(/^<svg [\s\S]*recommended(, now)?: batch[\s\S]*<\/svg>\n$/);
  expect(await place.read('settings.env')).toBe(
    `LOG_LEVEL=warn\nINFERENCE_BATCH_LIMIT=${report.recommended?.batch}\nINFERENCE_PROCESSES=1\nINFERENCE_THREADS=1\n`,
  );
});

test('an exhaustive profile reports what the search would have chosen', async () => {
  const { code, out } = await place.tandem(`profile churn ${SMALL} --exhaustive --json`);
  const report = JSON.parse(out) as ProfileReport;
  expect(code).toBe(0);
  // Without --p99 the target is the liveTimeout of the config. In addition to the grid, it measures the setting of this environment.
  expect(report).toMatchObject({ targetP99Ms: 250, combinations: 3, isCut: false, users: expect.any(Number) });
  expect(report.search?.choice).toMatchObject({ version: 1 });
  expect(report.users).toBeGreaterThan(100);
});

test('reports that no setting meets the target, with the measurements, and writes nothing', async () => {
  const { code, out, err } = await place.tandem(
    `profile churn --batches 256 --processes 1 --threads 1 --p99 1ms --write no.env`,
  );
  expect(out).not.toContain('the recommendation');
  expect(out).toMatch(/No setting keeps p99 within 1 ms [\s\S]*^version +batch +processes/m);
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(/no\.env was not changed: no setting keeps p99 within 1 ms\n/),
  ]);
  await expect(place.read('no.env')).rejects.toThrow('ENOENT');
});

test.each([
  ['profile absent', 1, 'this database has no model version of predictor absent', 'use one of churn'],
  ['profile churn --versions 1,7', 1, 'churn has no model version 7', 'set --versions to one or more of 1'],
  ['profile churn --write tandem.config.ts', 1, 'is not an environment file: line', 'not in tandem.config.ts'],
  ['profile churn --batches 0,8', 2, 'whole numbers from 1 to 10000 are expected', 'tandem profile --help'],
  ['profile churn --processes 257', 2, 'whole numbers from 1 to 256 are expected', 'tandem profile --help'],
  ['profile churn --seconds 61', 2, 'a whole number from 1 to 60 is expected', 'tandem profile --help'],
  ['profile churn --svg m.onnx/p.svg', 1, 'p.svg cannot be written (ENOTDIR)', 'name another file with --svg'],
  ['profile churn --p99 fast', 2, 'a duration from 1ms to 60s is expected', 'tandem profile --help'],
  ['profile churn --price-per-cpu-hour free', 2, 'a number above 0 is expected', 'tandem profile --help'],
])('`%s` is rejected with a remedy', async (line, expected, problem, remedy) => {
  const { code, err } = await place.tandem(line);
  expect(code).toBe(expected);
  expect(err).toContain(problem);
  expect(err).toContain(remedy);
});

test('reports a setting whose process is killed, and recommends another setting', async () => {
  const env = { DATABASE_URL: place.databaseUrl, INFERENCE_PROCESSES: '1', INFERENCE_BATCH_LIMIT: '16' };
  // The first setting must still be measured when its process is found.
  const args = ['profile', 'churn', ...SMALL.split(' '), '--seconds', '4', '--json', 'killed.json'];
  const cli = startCli(args, { cwd: place.folder, env });
  await vi.waitUntil(() => childrenOf(cli.pid).length > 0, { timeout: 60_000, interval: 5 });
  for (const pid of childrenOf(cli.pid)) process.kill(pid, 'SIGKILL');
  const { code, out } = await cli.ended;
  expect(code).toBe(0);
  // The process may be killed before or after it has loaded the model.
  expect(out).toMatch(/Not measured: version 1, batch 16, |crashed with version 1, batch 16, /);
  const report = JSON.parse(await place.read('killed.json')) as ProfileReport;
  expect(report.recommended).toMatchObject({ batch: 1, lost: 0 });
  for (const one of report.measured) expect(one.cpuMsPerThousand).toBeGreaterThan(0);
});

test('Ctrl-C ends the command and its processes', async () => {
  const env = { DATABASE_URL: place.databaseUrl };
  const cli = startCli(['profile', 'churn', '--seconds', '60', ...SMALL.split(' ')], { cwd: place.folder, env });
  await vi.waitUntil(() => childrenOf(cli.pid).length > 0, { timeout: 60_000, interval: 50 });
  const children = childrenOf(cli.pid);
  cli.kill('SIGINT');
  expect((await cli.ended).code).toBe(130);
  await vi.waitUntil(() => children.every((pid) => !isAlive(pid)), { timeout: 20_000, interval: 50 });
});

/** Returns the ids of its child processes. */
function childrenOf(parent: number): readonly number[] {
  return readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) && parentOf(name) === parent ? [Number(name)] : [],
  );
}

function parentOf(pid: number | string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}

const isAlive = (pid: number) => parentOf(pid) !== null;
