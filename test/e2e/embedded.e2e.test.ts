/** Tests predictions that are read in the test's own process, next to an API on the same stores. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTandem, type Tandem, type TandemOptions } from '@tandem/embedded';
import { adopt } from '@tandem/offline-store/adopt';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { certified, repeating } from './certified.fixture.ts';
import { COUNT, checkoutPredictor, countPredictor, createCounts } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment, PATIENT } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

let deployment: Deployment;
let api: Api;
beforeAll(async () => {
  deployment = await createDeployment();
  await createCounts(deployment.pool, 20);
  const freshness = { liveTimeoutMs: 20_000, default: { score: -1 } };
  await adopt(deployment.pool, { actor: 'test', predictors: [countPredictor({ freshness }), checkoutPredictor()] });
  api = await deployment.startApi();
  // Without re-scoring: it would score changed users before the tests read them.
  await deployment.startWorker({ REFRESH_SHARE: '0' });
  await deployment.runEveryone(api);
});
afterAll(() => deployment?.close());

const opened: Tandem[] = [];
afterEach(async () => {
  for (const tandem of opened.splice(0)) await tandem.close();
});

async function open(options: Partial<TandemOptions> = {}): Promise<Tandem> {
  const { DATABASE_URL: url, REDIS_URL: redis } = deployment.environment;
  const tandem = await createTandem({ database: { url }, redis: { url: redis, commandTimeoutMs: 20_000 }, ...options });
  opened.push(tandem);
  return repeating(tandem);
}

/** Reads over the API. */
async function readByApi(userId: string, demand: { readonly onlyIfCached?: boolean } = {}) {
  return (await certified(() => api.client.predict(COUNT, userId, demand))).answer;
}

/** Changes the user's features and sends an event. Returns the token. */
async function change(userId: string): Promise<string> {
  await deployment.pool.query('update counts set changes = changes + 1 where user_id = $1', [userId]);
  const [result] = await api.client.sendEvents([{ subject: userId, type: 'changed' }], PATIENT);
  return result?.contextToken ?? '';
}

const withoutAge = ({ ageSeconds: _, ...rest }: { readonly ageSeconds: number | null }) => rest;

it('answers like the API: stored, live after an event, on demand, and with the same errors', async () => {
  const tandem = await open();
  const both = async (userId: string) => {
    const [ours, theirs] = [await tandem.read(COUNT, userId), await readByApi(userId)];
    expect(withoutAge(ours)).toEqual(withoutAge(theirs));
    return ours;
  };
  expect(await both('1')).toMatchObject({ source: 'batch', reason: 'fresh', prediction: { score: 0 } });
  const minContext = await change('1');
  const after = await tandem.read(COUNT, '1', { minContext });
  expect(after).toMatchObject({ source: 'live', prediction: { score: 1 }, predictedFromContextVersion: 1 });
  // A slow write to Redis does not delay the answer.
  await until('the answer is stored', () => readByApi('1', { onlyIfCached: true }));
  expect(await both('1')).toMatchObject({ source: 'live', reason: 'fresh' });
  expect(await tandem.read(COUNT, '2', { noCache: true })).toMatchObject({ source: 'live', reason: 'requested' });
  await change('3');
  await expect(tandem.read(COUNT, '3', { onlyIfCached: true })).rejects.toMatchObject({ code: 'not_cached' });
  await expect(tandem.read(COUNT, '999')).rejects.toMatchObject({ code: 'unknown_user' });
  await expect(tandem.read('nothing', '1')).rejects.toMatchObject({ code: 'unknown_predictor' });
  const many = await tandem.readMany(COUNT, ['4', '04', '5', '999']);
  expect(many).toMatchObject([
    { userId: '4', source: 'batch' },
    { code: 'invalid_input', field: 'userIds[1]' },
    { userId: '5', source: 'batch' },
    { code: 'unknown_user' },
  ]);
});

it('infers with request features, with the certificate, types and limits of the API, and stores nothing', async () => {
  const tandem = await open();
  const sent = { amount: 12.5, channel: 'app' };
  const first = await tandem.read('checkout', '15', { features: sent });
  expect(first).toMatchObject({
    ...{ source: 'live', reason: 'requested', prediction: { changes: 0, amount: 12.5, channel: 1 } },
    predictedFromContextVersion: 0,
  });
  const minContext = await change('15');
  const after = await tandem.read('checkout', '15', { minContext, features: { amount: 1 } });
  expect(after).toMatchObject({ prediction: { changes: 1, amount: 1, channel: 0 }, predictedFromContextVersion: 1 });
  const users = [
    { userId: '15', features: { amount: 3 } },
    { userId: '015', features: { amount: 4 } },
    { userId: '15', features: { amount: 5 } },
    { userId: '999', features: { amount: 6 } },
  ];
  expect(await tandem.readMany('checkout', users)).toMatchObject([
    { prediction: { changes: 1, amount: 3 } },
    { code: 'invalid_input', field: 'users[1].userId' },
    { prediction: { changes: 1, amount: 5 } },
    { code: 'unknown_user' },
  ]);
  const { rows } = await deployment.pool.query(`select 1 from tandem.overlay where predictor = 'checkout'`);
  expect(rows).toHaveLength(0);
  expect(await tandem.metrics()).toMatch(/tandem_request_predictions_total\{.*predictor="checkout".*\} 4/);
  await expect(tandem.read('checkout', '15')).rejects.toMatchObject({ code: 'request_features_required' });
  await expect(tandem.read('checkout', '15', { features: sent, onlyIfCached: true })).rejects.toMatchObject({
    code: 'not_cached',
  });
});

it('ranks candidates like the API, under one label', async () => {
  const tandem = await open();
  const candidate = (id: string, amount: number) => ({ id, features: { amount } });
  const asked = {
    userId: '16',
    by: 'amount',
    limit: 2,
    candidates: [candidate('a', 1), candidate('b', 9), candidate('c', 5)],
  };
  const ranking = await tandem.rank('checkout', asked, { minContext: await change('16') });
  const { ranked } = ranking;
  expect(ranked.map(({ id, score }) => [id, score])).toEqual([
    ['b', 9],
    ['c', 5],
  ]);
  const theirs = await certified(() => api.client.rank('checkout', asked));
  expect({ ...ranking, computedAt: '' }).toEqual({ ...theirs, computedAt: '' });
  await expect(tandem.rank('checkout', { ...asked, candidates: [] })).rejects.toMatchObject({ field: 'candidates' });
  const unlike = {
    message: expect.stringMatching(/^The argument: /),
    remedy: expect.stringMatching(/^give an object /),
  };
  await expect(tandem.rank('checkout', 'x' as unknown as typeof asked)).rejects.toMatchObject(unlike);
  await expect(tandem.rank('checkout', { ...asked, by: 'profit' })).rejects.toMatchObject({ field: 'by' });
  await expect(tandem.rank('checkout', asked, { onlyIfCached: true })).rejects.toMatchObject({ code: 'not_cached' });
});

it('runs the model on features that the caller gives, and reads no data of a user', async () => {
  const tandem = await open();
  const row = (features: Record<string, number | string>) => ({ features });
  expect(await tandem.infer('checkout', [row({ changes: 7, amount: 2, channel: 'app' })])).toEqual({
    ...{ predictor: 'checkout', modelVersion: '1', variant: 'stable' },
    predictions: [{ changes: 7, amount: 2, channel: 1 }],
  });
  expect((await tandem.infer(COUNT, [row({ load: 0, changes: 1 }), row({ load: 0, changes: 2 })])).predictions).toEqual(
    [{ score: 1 }, { score: 2 }],
  );
  const features = { changes: 7, amount: 2 };
  const rows = [row(features)];
  const inferring = tandem.infer('checkout', rows);
  features.changes = 8;
  rows.push(row({}));
  expect((await inferring).predictions).toEqual([{ changes: 7, amount: 2, channel: 0 }]);
  const unusable = await tandem.infer(COUNT, [{ features: { load: 0, changes: null } }, row({ load: 0, changes: 3 })]);
  expect(unusable.predictions).toMatchObject([{ code: 'features_unusable' }, { score: 3 }]);
  const refused = (features: unknown) => tandem.infer(COUNT, [{ features: features as Record<string, number> }]);
  await expect(refused({ changes: 1 })).rejects.toMatchObject({ field: 'rows[0].features.load' });
  await expect(refused({ load: 0, changes: 1.5 })).rejects.toMatchObject({ field: 'rows[0].features.changes' });
  await expect(refused({ load: 0, changes: 1, age: 1 })).rejects.toMatchObject({ field: 'rows[0].features.age' });
  await expect(refused(undefined)).rejects.toMatchObject({ code: 'invalid_input', field: 'rows[0].features' });
  await expect(tandem.infer(COUNT, Array(1_001).fill(row({})))).rejects.toMatchObject({ field: 'rows' });
  await expect(tandem.infer('nothing', [])).rejects.toMatchObject({ code: 'unknown_predictor' });
  const idle = await open({ live: false });
  const off = { code: 'invalid_input', field: 'live', retryAfter: undefined };
  await expect(idle.infer(COUNT, [row({ load: 0, changes: 1 })])).rejects.toMatchObject(off);
  const candidates = [{ id: 'a', features: { amount: 1 } }];
  await expect(idle.rank('checkout', { userId: '15', by: 'amount', candidates })).rejects.toMatchObject(off);
});

it('refuses request features that the predictor does not take, and names the value', async () => {
  const tandem = await open();
  const refused: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ amount: 1_001 }, 'amount'],
    [{ amount: Number.NaN }, 'amount'],
    [{ amount: '1' }, 'amount'],
    [{}, 'amount'],
    [{ amount: 1, channel: 'phone' }, 'channel'],
    [{ amount: 1, tenant: 'x' }, 'tenant'],
  ];
  for (const [given, name] of refused) {
    const features = given as Record<string, number>;
    const expected = { code: 'invalid_input', remedy: expect.any(String) };
    await expect(tandem.read('checkout', '15', { features })).rejects.toMatchObject({
      ...{ ...expected, field: `demand.features.${name}` },
    });
    await expect(tandem.readMany('checkout', [{ userId: '15', features }])).rejects.toMatchObject({
      ...{ ...expected, field: `users[0].features.${name}` },
    });
  }
  const noObject = { features: [1] as unknown as Record<string, number> };
  await expect(tandem.read('checkout', '15', noObject)).rejects.toMatchObject({ field: 'features' });
});

it('rejects an invalid demand or option, and names it', async () => {
  const tandem = await open({ live: false });
  const asked = (demand: object) => tandem.read(COUNT, '1', demand);
  await expect(asked({ maxAge: -1 })).rejects.toMatchObject({ code: 'invalid_input', field: 'maxAge' });
  await expect(asked({ fresh: true })).rejects.toMatchObject({ code: 'invalid_input', field: 'fresh' });
  await expect(asked({ minContext: 'x' })).rejects.toMatchObject({ code: 'invalid_input', field: 'minContext' });
  await expect(asked({ noCache: true, onlyIfCached: true })).rejects.toMatchObject({ field: 'noCache' });
  await expect(tandem.read(COUNT, '01')).rejects.toMatchObject({ code: 'invalid_input', field: 'userId' });
  await expect(tandem.readMany(COUNT, ['1'], { minContext: 'x' } as object)).rejects.toMatchObject({
    ...{ field: 'minContext', message: 'minContext is the token of a single user.' },
  });
  const mixed = [{ userId: '1', features: {} }, '2'] as unknown as string[];
  await expect(tandem.readMany(COUNT, mixed)).rejects.toMatchObject({ code: 'invalid_input', field: 'users[1]' });
  await expect(tandem.readMany(COUNT, Array(1_001).fill('1'))).rejects.toMatchObject({ field: 'users' });
  const options = (more: object) => open(more as Partial<TandemOptions>);
  await expect(options({ database: 'nowhere' })).rejects.toMatchObject({ code: 'config_invalid', field: 'database' });
  await expect(options({ inference: { memoryMb: 1 } })).rejects.toMatchObject({ field: 'inference.memoryMb' });
  await expect(options({ cache: 1 })).rejects.toMatchObject({ code: 'config_invalid', field: 'cache' });
  await expect(options({ live: 'false' })).rejects.toMatchObject({ code: 'config_invalid', field: 'live' });
  await expect(options({ predictionMemory: { megabyte: 0 } })).rejects.toMatchObject({
    field: 'predictionMemory.megabyte',
  });
  await expect(options({ logLevel: 'loud' })).rejects.toMatchObject({ field: 'logLevel' });
  await expect((createTandem as () => Promise<Tandem>)()).rejects.toMatchObject({ code: 'config_invalid' });
  await expect(options({ live: false, inference: {} })).rejects.toMatchObject({ field: 'inference' });
  await tandem.close();
  await expect(tandem.read(COUNT, '1')).rejects.toMatchObject({ code: 'unavailable' });
});

it('without live inference, a user with a newer context gets an answer of a lower rung', async () => {
  const tandem = await open({ live: false });
  await change('6');
  expect(await tandem.read(COUNT, '6')).toMatchObject({ source: 'stale', reason: 'context_newer' });
  expect(await tandem.read(COUNT, '7')).toMatchObject({ source: 'batch', reason: 'fresh' });
});

it('the reader is listed as a process, and its reads count as demand', async () => {
  const tandem = await open();
  const listed = () => api.client.processes();
  await until('it is listed with its model', async () =>
    (await listed()).some(
      ({ kind, pid, models }) => kind === 'embedded' && pid === process.pid && models[0]?.state === 'ready',
    ),
  );
  await tandem.read(COUNT, '17');
  expect(await tandem.metrics()).toMatch(/tandem_predictions_total\{.*source="batch".*\} 1/);
  await tandem.close();
  expect((await listed()).some(({ kind }) => kind === 'embedded')).toBe(false);
  const { rows } = await deployment.pool.query(`select 1 from tandem.read_demand where user_id = '17'`);
  expect(rows).toHaveLength(1);
});

it('a reader that does not know the protocol of the schema answers no read', async () => {
  const tandem = await open();
  await tandem.read(COUNT, '8');
  await tandem.infer(COUNT, [{ features: { load: 0, changes: 1 } }]);
  await deployment.pool.query('update tandem.settings set protocol = 2');
  try {
    await expect(tandem.read(COUNT, '8')).rejects.toMatchObject({ code: 'protocol_unknown' });
    await expect(tandem.readMany(COUNT, ['8', '9'])).rejects.toMatchObject({ code: 'protocol_unknown' });
    const infer = () => tandem.infer(COUNT, [{ features: { load: 0, changes: 1 } }]);
    // The reader uses known assignments for up to a second.
    await until('inference is rejected', () =>
      infer().then(
        () => false,
        ({ code }) => code === 'protocol_unknown',
      ),
    );
    await expect(infer()).rejects.toMatchObject({ code: 'protocol_unknown' });
    await expect(open()).rejects.toMatchObject({ code: 'config_invalid', field: 'database.url' });
  } finally {
    await deployment.pool.query('update tandem.settings set protocol = 1');
  }
  expect(await tandem.read(COUNT, '8')).toMatchObject({ reason: 'fresh' });
});

/** The first line of the example, for a reader whose reads are repeated while their certificates take too long. */
const REPEATING = `import { createTandem as open } from '@tandem/embedded';
import { repeating } from '${new URL('./certified.fixture.ts', import.meta.url)}';
const createTandem = async (options) => repeating(await open(options));`;

it('the examples of docs/embedded.md run, and their process exits after `close`', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/embedded.md'), 'utf8');
  const [example = '', withFeatures = ''] = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  const joined = example.replace('await tandem.close();', () => `${withFeatures}await tandem.close();`);
  const names = { repurchase: COUNT, 42: '10', 43: '11', risk: 'amount', orders: 'changes' };
  const named = joined.replace(/\b(repurchase|42|43|risk|orders)\b/g, (name) => names[name as keyof typeof names]);
  const code = named.replace(/^import .*$/m, () => REPEATING);
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], {
    cwd: join(import.meta.dirname, '../..'),
    env: { PATH: process.env.PATH, ...deployment.environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  expect(await once(child, 'close')).toEqual([0, null]);
  const given = 'requested 129.9\noffer-1 offer-0\n{ changes: 3, amount: 12.5, channel: 0 }\n';
  expect(out).toBe(`batch 0\nbatch\nbatch\nunknown_user\n${given}`);
});
