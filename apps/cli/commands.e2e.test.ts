/**
 * Tests of the commands and the client with the real service, which `tandem up` runs on the example. For each way to
 * end, to print and to follow, one command runs as a separate process; the others run in this process.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, createClient } from '@tandem/client/create-client';
import type { Run } from '@tandem/client/wire';
import { findFreePort } from '@tandem/local-servers/ports';
import { waitUntil } from '@tandem/local-servers/process-identity';
import { startRedis } from '@tandem/local-servers/redis';
import type { LocalServer } from '@tandem/local-servers/server-process';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { batchScaledModel } from '@tandem/testing/hostile-models';
import { linearModel } from '@tandem/testing/onnx-models';
import { isProblem } from '@tandem/transport/client-errors';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { certified } from '../../test/e2e/certified.fixture.ts';
import { type CliPlace, type CliProcess, type Ended, runCli, startCli } from './cli.fixture.ts';
import { type Ran, run } from './program.fixture.ts';

let folder: string;
let redis: LocalServer;
let database: TestDatabase;
let place: CliPlace;
let up: CliProcess;
let url: string;
let client: Client;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-cli-'));
  redis = await startRedis({ dataDir: join(folder, 'redis'), log: () => undefined });
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  place = { cwd: folder, env: { DATABASE_URL: database.url, REDIS_URL: redis.url } };
  const port = await findFreePort();
  url = `http://127.0.0.1:${port}`;
  client = createClient({ url });
  up = startCli(['up', '--example', '--port', String(port)], place);
  await up.waitFor(/Ctrl-C stops everything/);
});

afterAll(async () => {
  up.kill('SIGTERM');
  await up.ended;
  await redis.stop();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

// The address of the API comes from the folder, as for a user who tries the commands beside `tandem up`.
const tandem = (...args: string[]): Promise<Ran> => run(args, place);
const spawned = (...args: string[]): Promise<Ended> => runCli(args, place);

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await tandem(...args, '--json');
  expect({ args, code, err }).toEqual({ args, code: 0, err: expect.any(String) });
  return JSON.parse(out);
}

// The service has its usual time limits. A busy machine may exceed them, and reads then get other answers for a while.
const BUSY = { timeout: 60_000, interval: 200 };
/** The most attempts of a read that a busy machine delays. */
const ATTEMPTS = 40;

test('after the first start every user has a stored prediction', async () => {
  await expect
    .poll(() => json('predict', 'repurchase', '42'), BUSY)
    .toMatchObject({
      userId: '42',
      source: 'batch',
      reason: 'fresh',
      generation: '1',
      cacheStatus: expect.stringContaining('tandem; hit'),
    });
});

test('an event makes the next read live, and a repeated event changes nothing', async () => {
  const event = ['event', 'send', '43', '--type', 'order.placed', '--id', 'order-1'];
  const first = await json(...event);
  expect(first).toMatchObject({ status: 'accepted', userId: '43', contextVersion: 1 });
  const demand = ['--min-context', String(first.contextToken)];
  // A busy machine may not infer in time. The answer then says to retry.
  let answer: unknown;
  const read = async () => {
    const { code, out } = await tandem('predict', 'repurchase', '43', ...demand, '--json');
    answer = code === 0 ? JSON.parse(out) : null;
    return code;
  };
  await expect.poll(read, { timeout: 30_000 }).toBe(0);
  expect(answer).toMatchObject({ source: 'live', reason: 'context_newer' });
  expect(await json(...event)).toMatchObject({ status: 'duplicate', contextVersion: 1 });
});

test('a value that no predictor takes is reported', async () => {
  const { code, out } = await spawned('event', 'send', '46', '--type', 'order.placed', '--data', '{"nmae":1}');
  expect(code).toBe(0);
  expect(out).toMatch(/^ignored +nmae {2}\(no predictor takes it from events\)$/m);
});

test('the client gets a 304 for an answer that is still current', async () => {
  const twice = async () => {
    const { etag } = await client.predict('repurchase', '44');
    const again = await client.predict('repurchase', '44', { ifNoneMatch: etag ?? '' });
    return { ...again, hasSameTag: again.etag === etag };
  };
  await expect.poll(twice, BUSY).toMatchObject({ notModified: true, answer: null, hasSameTag: true });
});

test('in a read of many users, each has an answer or an error', async () => {
  let ended: Ended | undefined;
  const predict = async () => {
    ended = await spawned('predict', 'repurchase', '1', '042', '999999', '2');
    return ended.out;
  };
  await expect.poll(predict, BUSY).toMatch(/^2 .*batch +fresh/m);
  const { code, out = '' } = ended ?? {};
  expect(code).toBe(1);
  const lines = out.trimEnd().split('\n');
  expect(lines).toHaveLength(5);
  expect(lines[2]).toMatch(/^042 .*leading zeros/);
  expect(lines[3]).toMatch(/^999999 .*no feature row/);
  expect(lines[4]).toMatch(/^2 .*batch +fresh/);
});

test('an unknown predictor, user and run have their error codes', async () => {
  await expect(client.predict('nope', '1')).rejects.toSatisfy((error) => isProblem(error, 'unknown_predictor'));
  await expect(client.explanation('repurchase', '999999')).resolves.toMatchObject({ answer: null });
  const { code, out, err } = await tandem('run', 'show', '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11', '--json');
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('no run') });
  expect(JSON.parse(out)).toMatchObject({ error: { code: 'unknown_run' } });
});

type Answered = Awaited<ReturnType<Client['predict']>>['answer'];

/** Returns the next answer that is not late. An error of a read is not repeated, so a late effect of a change fails. */
async function nextAnswer(userId: string, isLate: (answer: Answered) => boolean): Promise<Answered> {
  for (let attempt = 1; ; attempt++) {
    const { answer } = await certified(() => client.predict('repurchase', userId));
    if (attempt === ATTEMPTS || !isLate(answer)) return answer;
    await pause(BUSY.interval);
  }
}

/** Returns the generation of the next answer that the online store gave in time. */
const nextGeneration = async () => (await nextAnswer('45', ({ generation }) => generation === null)).generation;

test('a run is followed to its end with a line for each tenth, and makes the next generation', async () => {
  const { code, out, err } = await spawned('run', 'start', 'repurchase', '--follow');
  expect(code).toBe(0);
  expect(out).toMatch(/state +done\n/);
  expect(out).toMatch(/generation 2\n/);
  expect(err).toMatch(/^100 % {2}2,357\/2,357 users/m);
  expect(await nextGeneration()).toBe('2');
});

test('a generation has a report of the differences, and needs no approval unless it is held back', async () => {
  const { out } = await tandem('generation', 'report', 'repurchase');
  expect(out).toMatch(/^repurchase: generation 2, compared with generation 1 in .*: passed\n/);
  expect(out).toMatch(/^ +users +2,357 before, 2,357 now; 2,357 in both, 0 new, 0 removed\n/m);
  const report = await client.generationReport('repurchase', 2);
  expect(report).toMatchObject({ against: '1', figures: { outputs: [{ name: 'score', psi: 0, changed: 0 }] } });
  expect(await tandem('generation', 'approve', 'repurchase', '1', '--yes')).toMatchObject({
    code: 1,
    err: expect.stringContaining('Generation 1 of repurchase cannot be published: it is not held back'),
  });
});

test('the client watches a run of a few users to its end', async () => {
  const started = await client.runs.start({ predictor: 'repurchase', scope: { userIds: ['1', '2'] } });
  const seen: Run[] = [];
  for await (const run of client.runs.watch(started.id)) seen.push(run);
  expect(seen.at(-1)).toMatchObject({ id: started.id, state: 'done', usersScored: 2 });
  const page = await client.runs.list({ predictor: 'repurchase', limit: 1 });
  expect(page.runs[0]?.id).toBe(started.id);
  expect(page.next).toBe(started.id);
  const older = await client.runs.list({ limit: 1, before: started.id });
  expect(older.runs[0]).toMatchObject({ scope: 'all', generation: '2' });
});

test('a finished run can be neither cancelled nor resumed', async () => {
  const { runs } = await client.runs.list({ limit: 1 });
  for (const verb of ['cancel', 'resume']) {
    const { code, err } = await tandem('run', verb, runs[0]?.id ?? '');
    expect({ verb, code }).toEqual({ verb, code: 1 });
    expect(err).toMatch(/^tandem: /);
  }
});

test('a rollback is confirmed by name, and an impossible one is rejected before the question', async () => {
  const asked: string[] = [];
  const ask = async (question: string) => {
    asked.push(question);
    return 'n';
  };
  const rollback = (to = '') => run(`generation rollback repurchase ${to}`, { env: { TANDEM_URL: url }, ask });
  expect(await rollback('--to 99')).toEqual({
    code: 1,
    out: '',
    err: 'tandem: There is no generation 99. (to)\n  choose one of 1\n',
  });
  expect(asked).toEqual([]);
  expect(await rollback()).toMatchObject({ code: 1, err: 'tandem: nothing was changed\n' });
  expect(asked).toEqual(['repurchase: generation 2 is current. Roll back to generation 1 (model version 1)? [y/N] ']);
});

test('a rollback applies to the next read', async () => {
  expect((await tandem('generation', 'rollback', 'repurchase', '--yes')).out).toContain(
    'generation 1 (model version 1)',
  );
  expect(await nextGeneration()).toBe('1');
  const { out } = await tandem('generation', 'list', 'repurchase');
  expect(out).toMatch(/^ +2 {2}published/m);
  expect(out).toMatch(/^ +1 {2}current/m);
});

test('an erasure is confirmed, gives a receipt, and ends with a readmission', async () => {
  const refused = await run('user erase 48', { env: { TANDEM_URL: url }, ask: async () => 'n' });
  expect(refused).toMatchObject({ code: 1, err: 'tandem: nothing was changed\n' });
  const { code, out } = await tandem('user', 'erase', '48', '--yes');
  expect(code).toBe(0);
  expect(out).toMatch(/^erased +user 48 at 20\d\d-.*, context version 1$/m);
  expect(out).toMatch(/^redis +\d predictions, 0 live answers$/m);
  await expect(client.predict('repurchase', '48')).rejects.toSatisfy((error) => isProblem(error, 'unknown_user'));
  expect(await json('user', 'erase', '48', '--yes')).toMatchObject({
    contextVersion: 1,
    deleted: { redis: { predictions: 0 } },
  });
  expect(await json('user', 'readmit', '48')).toMatchObject({ status: 'readmitted', contextVersion: 2 });
  const answer = await nextAnswer('48', ({ reason }) => ['live_timeout', 'overloaded'].includes(reason));
  expect(answer).toMatchObject({ source: 'live', contextVersion: 2 });
});

test('an answer of the example is kept, and shown again with its inputs', async () => {
  const kept = await json('explanation', 'keep', 'repurchase', '42');
  expect(kept).toMatchObject({ answer: { predictor: 'repurchase', userId: '42' } });
  expect(await json('explanation', 'show', String(kept.id))).toMatchObject({ id: kept.id, answer: kept.answer });
});

test('model versions are listed with the arms that serve them', async () => {
  const { code, out } = await tandem('model', 'list', 'repurchase');
  expect(code).toBe(0);
  expect(out).toMatch(/^repurchase +1 {2}stable +[0-9a-f]{12} /m);
  const { models } = await json('model', 'list');
  expect(models).toMatchObject([{ predictor: 'repurchase', modelVersion: '1', variants: ['stable'] }]);
});

test('explain shows the answer, the stored predictions, and each feature', async () => {
  let explained: Ran | undefined;
  const explain = async () => {
    explained = await tandem('explain', 'repurchase', '43');
    return explained.out;
  };
  await expect.poll(explain, BUSY).toMatch(/A read answers score 0\.\d+: live/);
  const { code, out = '' } = explained ?? {};
  expect(code).toBe(0);
  expect(out).toMatch(/redis +generation .*stale: from an older context/);
  expect(out).toMatch(/order_count +\d+ +row/);
});

test('explain of an unknown user exits with 1 and says that the user is unknown', async () => {
  const { code, out, err } = await tandem('explain', 'repurchase', '999999');
  expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/^tandem: .*no feature row for user 999999/) });
  expect(out).toContain('the feature source has no row of this user');
});

test('check and doctor find nothing to fix', async () => {
  const config = join(import.meta.dirname, '../shop/tandem.config.ts');
  const checked = { summary: 'no problems found', samples: [{ predictor: 'repurchase' }] };
  await expect.poll(() => json('check', '--config', config), { ...BUSY, timeout: 120_000 }).toMatchObject(checked);
  const doctor = await spawned('doctor', '--json');
  expect(doctor.code).toBe(0);
  expect(JSON.parse(doctor.out).findings).not.toContainEqual(expect.objectContaining({ level: 'error' }));
});

test('adopting the same config again changes nothing', async () => {
  const config = join(import.meta.dirname, '../shop/tandem.config.ts');
  expect(await json('adopt', '--config', config)).toMatchObject({ predictors: [{ change: 'unchanged' }] });
  expect(await spawned('migrate', '--json')).toMatchObject({
    code: 0,
    out: '{\n  "applied": [],\n  "contracted": []\n}\n',
  });
});

test('a model with 14 columns is pushed beside the served one with 12, shown and labelled; a repeated push changes nothing', async () => {
  const weights = Array.from({ length: 14 }, (_, i) => (i % 2 === 0 ? 0.001 : -0.001));
  const sql = `select customer_id as user_id, recency_days, tenure_days, order_count, orders_30d, orders_90d, orders_180d,
    active_days, total_quantity, total_amount, amount_90d, avg_amount, max_amount, order_count * 2 as twice,
    max_amount - avg_amount as spread from shop.customer_features;`;
  await writeFile(join(folder, 'wider.onnx'), linearModel({ weights }));
  await writeFile(join(folder, 'wider.sql'), sql);
  const push = ['model', 'push', 'repurchase', 'wider.onnx', '--features', 'wider.sql', '--metric', 'auc=0.82'];
  const pushed = await tandem(...push, '--note', 'two more columns');
  expect(pushed).toMatchObject({ code: 0, out: expect.stringMatching(/^repurchase: model version 2 is stored/) });
  expect(pushed.err).toContain('uploaded; the service tries it');
  expect(await json(...push)).toMatchObject({ modelVersion: '2', note: 'two more columns', metrics: { auc: 0.82 } });
  expect(await json(...push, '--note', 'twice')).toMatchObject({ modelVersion: '2', note: 'twice' });
  expect(await json('predict', 'repurchase', '42')).toMatchObject({ modelVersion: '1' });
  const shown = await tandem('model', 'show', 'repurchase', '2');
  expect(shown.out).toMatch(/the same answers for \d+ real and 64 synthetic users/);
  expect(await json('model', 'label', 'repurchase', 'wider', '2')).toMatchObject({
    label: 'wider',
    from: null,
    to: '2',
  });
  const listed = await json('model', 'list', 'repurchase');
  expect(listed).toMatchObject({
    models: [
      { modelVersion: '2', labels: ['wider'], variants: [] },
      { modelVersion: '1', labels: [], variants: ['stable'] },
    ],
  });
});

test('an archived version is not listed, and no rollout starts with it until it is unarchived', async () => {
  const listed = async (...options: string[]) => {
    const { models } = (await json('model', 'list', 'repurchase', ...options)) as {
      models: { modelVersion: string }[];
    };
    return models.map(({ modelVersion }) => modelVersion);
  };
  const archived = await tandem('model', 'archive', 'repurchase', '2');
  expect(archived).toMatchObject({ code: 0, out: 'repurchase: model version 2 is archived\n' });
  expect(await listed()).toEqual(['1']);
  expect(await listed('--archived')).toEqual(['2', '1']);
  const tooFew = await tandem('rollout', 'start', 'repurchase', '2', '--min-users', '5');
  expect(tooFew).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^tandem: analysis\.minUsers: .*\n {2}correct --min-users\n$/),
  });
  const rollout = await tandem('rollout', 'start', 'repurchase', '2', '--shadow');
  expect(rollout.code).toBe(1);
  expect(rollout.err).toMatch(/Model version 2 of repurchase is archived.*\n.*tandem model unarchive repurchase 2/);
  const served = await tandem('model', 'archive', 'repurchase', '1');
  expect(served).toMatchObject({
    code: 1,
    err: expect.stringContaining('Model version 1 of repurchase is served as stable'),
  });
  expect(await json('model', 'unarchive', 'repurchase', '2')).toMatchObject({ archivedAt: null });
  expect(await listed()).toEqual(['2', '1']);
});

test('a config defines a version completely, so pushing it finds the served version', async () => {
  const config = join(import.meta.dirname, '../shop/tandem.config.ts');
  expect(await json('model', 'push', 'repurchase', '--config', config)).toMatchObject({
    modelVersion: '1',
    verified: true,
  });
});

test('a rejected push shows the figures and the fix', async () => {
  await writeFile(join(folder, 'scaled.onnx'), batchScaledModel());
  await writeFile(
    join(folder, 'two.sql'),
    'select customer_id as user_id, recency_days, order_count from shop.customer_features',
  );
  const { code, err } = await tandem('model', 'push', 'repurchase', 'scaled.onnx', '--features', 'two.sql');
  expect(code).toBe(1);
  expect(err).toMatch(/score of user \S+ is \S+ alone, but \S+ in a batch of \d+/);
  expect(err).toContain('Set rowByRow: true');
  const nothing = await tandem('model', 'push', 'repurchase', 'nothing.onnx');
  expect(nothing).toMatchObject({ code: 1, err: expect.stringContaining('does not exist') });
  expect(await tandem('model', 'push', 'repurchase')).toMatchObject({ code: 2 });
});

test('a killed API is restarted', async () => {
  const record = join(folder, '.tandem/processes/api.json');
  const pidOf = async () => JSON.parse(await readFile(record, 'utf8')).pid as number;
  const first = await pidOf();
  process.kill(first, 'SIGKILL');
  const answers = () => client.predict('repurchase', '46').then(Boolean, () => false);
  expect(await waitUntil(async () => (await pidOf()) !== first && (await answers()), 60_000)).toBe(true);
});

test('a second `up` in the same folder is rejected and names the process of the first', async () => {
  const { code, err } = await spawned('up', '--example');
  expect(code).toBe(1);
  expect(err).toContain(`is in use by process ${up.pid}`);
});

test('a port in use is reported with its process before anything is started', async () => {
  const other = await mkdtemp(join(tmpdir(), 'tandem-cli-'));
  const { port } = new URL(url);
  const { code, out, err } = await runCli(['up', '--port', port], { ...place, cwd: other });
  await rm(other, { recursive: true });
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toMatch(new RegExp(`port ${port} \\(PORT\\) is in use by process \\d+ .*apps/api/main.ts`));
});
