import { createHash } from 'node:crypto';
import { nestedModel } from '@tandem/testing/hostile-models';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../api.fixture.ts';

const other = linearModel({ weights: [-0.2, 0.7] });
const third = linearModel({ weights: [-0.2, 0.7, 0.1] });
const THREE = 'select user_id, recency, orders, orders * 2 as twice, loaded_at from customers';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const digestOf = (bytes: Uint8Array) => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
const FILE = { 'content-type': 'application/octet-stream' };

async function send(method: string, path: string, bytes: Uint8Array, headers: Record<string, string> = {}) {
  const body = bytes as Uint8Array<ArrayBuffer>;
  return api.app.request(path, { method, body, headers: { ...FILE, ...headers } });
}
const upload = (bytes: Uint8Array, hash = hashOf(bytes), headers = {}) =>
  send('PUT', `/v1/artifacts/${hash}`, bytes, headers);
const push = (body: object, predictor = 'repurchase') => api.post(`/v1/models/${predictor}/versions`, body);
const answered = async (response: Response) => [response.status, await response.json()] as const;
const problem = (code: string, more: object = {}) => ({ type: `urn:tandem:problem:${code}`, ...more });

describe('PUT /v1/artifacts/{sha256}', () => {
  it('stores a whole file, and a repeated upload changes nothing', async () => {
    const [artifact, bytes] = [hashOf(other), other.length];
    const view = { artifact, bytes, received: bytes, complete: true };
    expect(await answered(await api.get(`/v1/artifacts/${artifact}`))).toMatchObject([
      404,
      problem('unknown_artifact'),
    ]);
    expect(await answered(await upload(other))).toEqual([201, view]);
    expect(await answered(await upload(Buffer.from('not read at all'), artifact))).toEqual([200, view]);
    expect(await answered(await api.get(`/v1/artifacts/${artifact}`))).toEqual([200, view]);
  });

  it('limits files and parts that no model version uses, and says what to do', async () => {
    const small = await createTestApi({}, undefined, undefined, { uploads: { megabytes: 1 } });
    try {
      const put = (bytes: Buffer, headers = {}) => {
        const body = bytes as Uint8Array as Uint8Array<ArrayBuffer>;
        return small.app.request(`/v1/artifacts/${hashOf(bytes)}`, {
          method: 'PUT',
          body,
          headers: { ...FILE, ...headers },
        });
      };
      expect((await put(Buffer.alloc(700_000, 'one'))).status).toBe(201);
      const refusal = [413, problem('body_too_large', { remedy: expect.stringContaining('ARTIFACT_UPLOADS_MB') })];
      expect(await answered(await put(Buffer.alloc(300_001, 'two')))).toMatchObject(refusal);
      const part = { 'content-range': 'bytes 0-300000/400000' };
      expect(await answered(await put(Buffer.alloc(300_001, 'part'), part))).toMatchObject(refusal);
      expect((await put(Buffer.alloc(300_000, 'two'))).status).toBe(201);
    } finally {
      await small.close();
    }
  });

  it('accepts parts in any order, and says where to resume', async () => {
    const file = Buffer.alloc(700_000, 'a model, perhaps');
    const part = (first: number, end: number, bytes = file) =>
      upload(bytes.subarray(first, end), hashOf(file), { 'content-range': `bytes ${first}-${end - 1}/${file.length}` });
    const got = async (response: Response) => [
      response.status,
      ((await response.json()) as { received: number }).received,
    ];
    expect(await got(await part(600_000, 700_000))).toEqual([202, 0]);
    expect(await got(await part(0, 300_000))).toEqual([202, 300_000]);
    expect(await got(await part(0, 300_000))).toEqual([202, 300_000]);
    expect(await got(await api.get(`/v1/artifacts/${hashOf(file)}`))).toEqual([200, 300_000]);
    expect(await got(await part(300_000, 600_000))).toEqual([201, 700_000]);
    const { rows } = await api.pool.query('select count(*)::int as parts from tandem.artifact_parts');
    expect(rows).toEqual([{ parts: 0 }]);
    expect(await got(await part(0, 300_000))).toEqual([200, 700_000]);
  });

  it('keeps a limited number of parts in memory, and tells further clients to retry', async () => {
    const file = Buffer.alloc(700_000, 'slow lines');
    const endings: (() => void)[] = [];
    const slow = () => {
      const body = new ReadableStream({ start: (controller) => void endings.push(() => controller.close()) });
      const headers = { ...FILE, 'content-range': `bytes 0-299999/${file.length}` };
      const request = { method: 'PUT', body, headers, duplex: 'half' as const };
      return api.app.request(`/v1/artifacts/${hashOf(file)}`, request);
    };
    const answers = Array.from({ length: 17 }, slow);
    const first = await Promise.race(answers);
    expect(await answered(first)).toMatchObject([503, problem('overloaded')]);
    for (const end of endings) end();
    const statuses = (await Promise.all(answers)).map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array.from({ length: 16 }, () => 400), 503]);
  });

  it('drops parts whose file has another hash, so that they can be sent again', async () => {
    const [file, wrong] = [Buffer.alloc(300_000, 'right'), Buffer.alloc(300_000, 'wrong')];
    const whole = (bytes: Buffer) => upload(bytes, hashOf(file), { 'content-range': 'bytes 0-299999/300000' });
    expect(await answered(await whole(wrong))).toMatchObject([422, problem('model_refused')]);
    expect((await whole(file)).status).toBe(201);
  });

  it.each<[string, () => Promise<Response>, number, object]>([
    [
      'a file with another hash',
      () => upload(other, 'a'.repeat(64)),
      422,
      problem('invalid_input', { field: 'sha256', remedy: expect.stringContaining('resend the file') }),
    ],
    [
      'a body that does not match Content-Digest',
      () => upload(third, hashOf(third), { 'content-digest': digestOf(other) }),
      422,
      problem('invalid_input', { field: 'Content-Digest' }),
    ],
    [
      'a malformed Content-Digest',
      () => upload(third, hashOf(third), { 'content-digest': 'sha-256=abc' }),
      400,
      problem('malformed_request', { field: 'Content-Digest' }),
    ],
    [
      'a path that is not a hash',
      () => upload(third, 'model.onnx'),
      422,
      problem('invalid_input', { field: 'sha256' }),
    ],
    [
      'a file above the size limit',
      () => upload(third, hashOf(third), { 'content-length': '268435457' }),
      413,
      problem('body_too_large', { remedy: expect.stringContaining('smaller') }),
    ],
    [
      'parts of a file above the size limit',
      () => upload(third, hashOf(third), { 'content-range': 'bytes 0-300000/268435457' }),
      413,
      problem('body_too_large'),
    ],
    [
      'parts that are too small',
      () => upload(third, hashOf(third), { 'content-range': 'bytes 0-9/300000' }),
      400,
      problem('malformed_request', { field: 'Content-Range' }),
    ],
    [
      'a part whose length does not match its range',
      () => upload(third, hashOf(third), { 'content-range': 'bytes 0-299999/600000' }),
      400,
      problem('malformed_request', { field: 'Content-Range' }),
    ],
    [
      'another media type',
      () => upload(third, hashOf(third), { 'content-type': 'application/json' }),
      415,
      problem('unsupported_media_type', { field: 'Content-Type' }),
    ],
  ])('refuses %s', async (_, request, status, expected) => {
    expect(await answered(await request())).toMatchObject([status, expected]);
  });
});

describe('POST /v1/models/{predictor}/versions', () => {
  it('stores a version with more columns and leaves the stable version; a repeated push returns the same version', async () => {
    await upload(third);
    const body = { artifact: hashOf(third), features: { sql: THREE }, metrics: { auc: 0.82 }, label: 'challenger' };
    const response = await push(body);
    expect([response.status, response.headers.get('location')]).toEqual([201, '/v1/models/repurchase/versions/2']);
    const made = await response.json();
    expect(made).toMatchObject({
      modelVersion: '2',
      origin: { by: 'api', how: 'push' },
      variants: [],
      labels: ['challenger'],
      verified: true,
      metrics: { auc: 0.82 },
      features: { sql: THREE, asOf: 'loaded_at' },
      parity: { users: { real: 9, madeUp: 64 }, readBothWays: 5 },
    });
    expect(await answered(await push(body))).toEqual([200, made]);
    expect(await answered(await api.get('/v1/models/repurchase/versions/2'))).toEqual([200, made]);
    const models = [
      { modelVersion: '2', variants: [] },
      { modelVersion: '1', variants: ['stable'] },
    ];
    expect(await (await api.get('/v1/models/repurchase')).json()).toMatchObject({ models });
    expect(await (await api.get('/v1/predictions/repurchase/3')).json()).toMatchObject({ modelVersion: '1' });
  });

  it('accepts the file itself, with the definition of the served version', async () => {
    const path = '/v1/models/repurchase/versions?note=retrained&label=nightly';
    const response = await send('POST', path, other, { 'content-digest': digestOf(other) });
    const expected = { modelVersion: '3', note: 'retrained', labels: ['nightly'], features: { asOf: 'loaded_at' } };
    expect(await answered(response)).toMatchObject([201, expected]);
    const damaged = await send('POST', path, other, { 'content-digest': digestOf(third) });
    expect(await answered(damaged)).toMatchObject([422, problem('invalid_input', { field: 'Content-Digest' })]);
  });

  it.each<[string, () => Promise<Response>, number, object]>([
    ['an unknown predictor', () => push({ artifact: hashOf(other) }, 'nobody'), 404, problem('unknown_predictor')],
    [
      'a file that was not uploaded',
      () => push({ artifact: 'b'.repeat(64) }),
      422,
      problem('invalid_input', { field: 'artifact', remedy: expect.stringContaining('PUT /v1/artifacts/') }),
    ],
    [
      'columns that do not fit the model',
      () => push({ artifact: hashOf(other), features: { sql: THREE } }),
      422,
      problem('config_invalid', { field: 'features.sql' }),
    ],
    [
      'an unknown setting',
      () => push({ artifact: hashOf(other), features: { query: THREE } }),
      422,
      problem('invalid_input', { field: 'features.query' }),
    ],
    [
      'a parent without a build',
      () => push({ artifact: hashOf(other), parent: '1' }),
      422,
      problem('invalid_input', { field: 'build' }),
    ],
    [
      'an unknown parent',
      () => push({ artifact: hashOf(other), parent: '99', build: 'int8' }),
      422,
      problem('invalid_input', { field: 'build.parent' }),
    ],
    [
      'a label that an arm has',
      () => push({ artifact: hashOf(other), label: 'stable' }),
      422,
      problem('invalid_input', { field: 'label' }),
    ],
    [
      'a body that is not a model',
      () => send('POST', '/v1/models/repurchase/versions', Buffer.from('version https://git-lfs.github.com')),
      422,
      problem('model_refused', { field: 'artifact', detail: expect.stringContaining('Git LFS pointer') }),
    ],
    [
      'a hostile model',
      () => send('POST', '/v1/models/repurchase/versions', nestedModel(40)),
      422,
      problem('model_refused', { field: 'artifact', remedy: expect.stringContaining('simpl') }),
    ],
  ])('refuses %s', async (_, request, status, expected) => {
    const before = await (await api.get('/v1/models')).json();
    expect(await answered(await request())).toMatchObject([status, expected]);
    expect(await (await api.get('/v1/models')).json()).toEqual(before);
  });
});

describe('PUT /v1/models/{predictor}/labels/{label}', () => {
  const label = (name: string, version: string) =>
    api.app.request(`/v1/models/repurchase/labels/${name}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ version }),
    });

  it('moves the label, and nothing else', async () => {
    const moved = { predictor: 'repurchase', label: 'challenger', from: '2', to: '3' };
    expect(await answered(await label('challenger', '3'))).toEqual([200, moved]);
    const labels = ['challenger', 'nightly'];
    expect(await (await api.get('/v1/models/repurchase/versions/3')).json()).toMatchObject({ labels });
  });

  it('rejects a version without a certificate, an unknown version, and an arm’s name', async () => {
    expect(await answered(await label('old', '1'))).toMatchObject([
      409,
      problem('version_unverified', { field: 'version' }),
    ]);
    expect(await answered(await label('old', '9'))).toMatchObject([404, problem('unknown_model_version')]);
    expect(await answered(await label('candidate', '3'))).toMatchObject([
      422,
      problem('invalid_input', { field: 'label' }),
    ]);
  });
});
