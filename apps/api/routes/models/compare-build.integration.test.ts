import { createHash } from 'node:crypto';
import type { BuildComparison } from '@tandem/client/builds';
import { linearModel } from '@tandem/testing/onnx-models';
import { dynamicInt8Model } from '@tandem/testing/quantised-model';
import { BUILD_COMPARISON_EXAMPLE } from '@tandem/wire/builds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../api.fixture.ts';

/** The weights of the test API's model. */
const WEIGHTS = [-0.1, 0.5];
const int8 = dynamicInt8Model({ weights: WEIGHTS });
/** The same model pruned: one weight is zero. */
const pruned = linearModel({ weights: [-0.1, 0] });
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
  await api.pool.query(`insert into customers select n, n % 40, n % 7, now() from generate_series(10, 400) n`);
});
afterAll(() => api?.close());

async function upload(bytes: Buffer) {
  const body = bytes as Uint8Array<ArrayBuffer>;
  const headers = { 'content-type': 'application/octet-stream' };
  await api.app.request(`/v1/artifacts/${hashOf(bytes)}`, { method: 'PUT', body, headers });
}
const push = (more: object) => api.post('/v1/models/repurchase/versions', more);
const compare = (version: number | string, body?: object) =>
  api.post(`/v1/models/repurchase/versions/${version}/comparison`, body);
const answered = async (response: Response) => [response.status, await response.json()] as const;
const problem = (code: string, more: object = {}) => ({ type: `urn:tandem:problem:${code}`, ...more });

describe('a dynamic int8 build', { timeout: 120_000 }, () => {
  it('is rejected with a remedy, and accepted with `rowByRow`', async () => {
    await upload(int8);
    const build = { artifact: hashOf(int8), parent: '1', build: 'int8' };
    expect(await answered(await push(build))).toMatchObject([
      422,
      problem('model_refused', {
        field: 'artifact',
        detail: expect.stringContaining('in a batch of'),
        remedy: expect.stringMatching(/^Set rowByRow: true/),
      }),
    ]);
    expect(await answered(await push({ ...build, rowByRow: true }))).toMatchObject([
      201,
      { modelVersion: '2', parent: '1', build: 'int8', rowByRow: true, verified: true },
    ]);
  });

  it('is compared with its parent on held-out users', async () => {
    const [status, found] = (await answered(await compare(2))) as readonly [number, BuildComparison];
    expect(status).toBe(200);
    expect(Object.keys(found)).toEqual(Object.keys(BUILD_COMPARISON_EXAMPLE));
    expect(found).toMatchObject({
      predictor: 'repurchase',
      parent: { modelVersion: '1', build: null, rowByRow: false, rowsAgree: true, refused: 0 },
      build: { modelVersion: '2', build: 'int8', rowByRow: true, rowsAgree: false, bytes: int8.length },
      decision: null,
      labels: null,
    });
    const { rows } = await api.pool.query(
      'select count(*)::int as users from customers where hashtextextended(user_id::text, 0) > 0',
    );
    expect(found.users).toEqual({ asked: rows[0].users, read: rows[0].users, compared: rows[0].users });
    expect(found.users.asked).toBeGreaterThan(100);
    const [score] = found.outputs;
    expect(score?.largestDifference).toBeGreaterThan(0);
    expect(score?.largestDifference).toBeLessThan(0.1);
    expect(score?.rankCorrelation).toBeGreaterThan(0.99);
    // Inferring the rows one by one takes longer than a batch.
    expect(found.pace.together.speedup.median).toBeLessThan(1);
  });
});

describe('a pruned build', { timeout: 120_000 }, () => {
  it('is judged by labels on exactly the labelled users, and its flips are counted at the declared threshold', async () => {
    await api.pool.query(`update tandem.predictors set policy = jsonb_set(policy, '{decision}',
      '{"output": "score", "threshold": 0.5}') where name = 'repurchase'`);
    await api.pool.query('update tandem.settings set revision = revision + 1');
    // The certificate of a read notifies this process of the change.
    await api.get('/v1/predictions/repurchase/1');
    await api.pool.query(`insert into tandem.user_contexts (user_id, version, deleted_version) values ('399', 1, 1)`);
    await upload(pruned);
    const body = { artifact: hashOf(pruned), parent: '1', build: 'pruned' };
    expect((await push(body)).status).toBe(201);
    // The parent predicts these users correctly. User 9999 has no row, and user 399 was erased.
    const { rows } = await api.pool.query(`select user_id::text as "userId",
      (orders * 0.5 - recency * 0.1 > 0)::int as label from customers where user_id between 10 and 109`);
    const labels = [...rows, { userId: '9999', label: 1 }, { userId: '399', label: 1 }];
    const [status, found] = (await answered(await compare(3, { labels }))) as readonly [number, BuildComparison];
    expect(status).toBe(200);
    expect(found.users).toEqual({ asked: 102, read: 100, compared: 100 });
    const { figures, ...judged } = found.labels ?? { figures: undefined };
    expect(judged).toEqual({ output: 'score', users: 100 });
    expect(figures).toMatchObject({ kind: 'classes', parent: { auc: 1 } });
    expect(figures?.kind === 'classes' && figures.build.auc).toBeLessThan(0.95);
    // Without the weight of orders, only users who bought today score above 0.5.
    const wouldFlip = rows.filter(({ label }) => label === 1).length;
    expect(found.decision).toMatchObject({ output: 'score', threshold: 0.5, up: 0 });
    expect(found.decision?.down).toBeGreaterThan(wouldFlip / 2);
    expect(found.build.rowsAgree).toBe(true);
  });
});

describe('a comparison is refused', { timeout: 120_000 }, () => {
  it.each<[string, number | string, object | undefined, number, object]>([
    ['of a version that is not a build', 1, undefined, 422, problem('invalid_input', { field: 'version' })],
    ['of an unknown version', 77, undefined, 404, problem('unknown_model_version')],
    ['of a version that is not a number', 'new', undefined, 422, problem('invalid_input', { field: 'version' })],
    ['with too many users', 3, { users: 10_001 }, 422, problem('invalid_input', { field: 'users' })],
    ['with an empty list of labels', 3, { labels: [] }, 422, problem('invalid_input', { field: 'labels' })],
    [
      'with an id in another spelling',
      3,
      { labels: [{ userId: '042', label: 1 }] },
      422,
      problem('invalid_input', { field: 'labels[0].userId', remedy: expect.stringContaining('42') }),
    ],
    [
      'with two labels of one user',
      3,
      { labels: [1, 0].map((label) => ({ userId: '42', label })) },
      422,
      problem('invalid_input', { field: 'labels[1].userId' }),
    ],
    [
      'of unknown users',
      3,
      { labels: [{ userId: '9999', label: 1 }] },
      422,
      problem('features_unusable', { detail: expect.stringContaining('has a row in the feature source') }),
    ],
  ])('%s', async (_, version, body, status, expected) => {
    expect(await answered(await compare(version, body))).toMatchObject([status, expected]);
  });

  it('while one comparison runs and another waits', async () => {
    const statuses = await Promise.all([compare(3), compare(3), compare(3)]);
    const busy = statuses.filter(({ status }) => status === 503);
    expect(busy).toHaveLength(1);
    expect(busy[0]?.headers.get('retry-after')).toBe('10');
  });
});

describe('GET /v1/artifacts/{sha256}/file', () => {
  it('returns the uploaded bytes in pieces, with their digest', async () => {
    const file = Buffer.alloc(700_001, 'no model, but a file');
    await upload(file);
    const response = await api.get(`/v1/artifacts/${hashOf(file)}/file`);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '700001',
      'content-digest': `sha-256=:${createHash('sha256').update(file).digest('base64')}:`,
      'cache-control': 'no-store',
    });
    expect(Buffer.from(await response.arrayBuffer()).equals(file)).toBe(true);
  });

  it('serves two downloads at a time, and the next one after one was read or cancelled', async () => {
    await upload(int8);
    const path = `/v1/artifacts/${hashOf(int8)}/file`;
    const [first, second] = [await api.get(path), await api.get(path)];
    expect([first.status, second.status, (await api.get(path)).status]).toEqual([200, 200, 503]);
    await first.body?.cancel();
    const third = await api.get(path);
    expect([third.status, (await api.get(path)).status]).toEqual([200, 503]);
    await second.arrayBuffer();
    const fourth = await api.get(path);
    expect(fourth.status).toBe(200);
    for (const { body } of [third, fourth]) await body?.cancel();
  });

  it('answers 404 for an unknown hash, and 422 for a text that is not a hash', async () => {
    expect(await answered(await api.get(`/v1/artifacts/${'a'.repeat(64)}/file`))).toMatchObject([
      404,
      problem('unknown_artifact'),
    ]);
    expect((await api.get('/v1/artifacts/model.onnx/file')).status).toBe(422);
    const excluded = await api.get(`/v1/artifacts/${hashOf(int8)}/file`, { accept: 'application/json' });
    expect(excluded.status).toBe(406);
  });
});
