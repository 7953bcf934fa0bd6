/** Tests of the Open Inference Protocol over HTTP, on real models. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scoreOf, type TestApi } from '../../../../apps/api/api.fixture.ts';
import { createOpenApi, ZOO } from '../models/open-api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createOpenApi();
});
afterAll(() => api?.close());

// biome-ignore lint/suspicious/noExplicitAny: the tests check what the answers hold
const json = async (path: string): Promise<any> => (await api.get(path)).json();

interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

/** Requests inference and expects success. */
async function infer(model: string, body: object) {
  const response = await api.post(`/v2/models/${model}/infer`, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const answer = JSON.parse(text) as { readonly outputs: readonly Output[]; readonly parameters: object };
  return { ...answer, byName: Object.fromEntries(answer.outputs.map((output) => [output.name, output])) };
}

const numbersOf = (output: Output | undefined) => (output?.data ?? []) as readonly number[];
const features = (rows: readonly (readonly number[])[]) => ({
  ...{ name: 'features', datatype: 'FP32', shape: [rows.length, 2] },
  data: rows,
});

describe('the metadata of the server', () => {
  it('names the server, its release and the binary extension', async () => {
    expect(await json('/v2')).toMatchObject({ name: 'tandem', extensions: ['binary_tensor_data'] });
  });

  it('is live and ready', async () => {
    expect(await json('/v2/health/live')).toEqual({ live: true });
    expect(await json('/v2/health/ready')).toEqual({ ready: true });
    expect(await json('/v2/models/zoo/ready')).toEqual({ name: 'zoo', ready: true });
    expect(await json('/v2/models/zoo/versions/1/ready')).toEqual({ name: 'zoo', ready: true });
  });
});

it('an unknown path or method is rejected in the protocol’s form', async () => {
  const unknown = await api.get('/v2/repository/index');
  expect(await unknown.json()).toMatchObject({ error: expect.any(String), type: 'urn:tandem:problem:no_such_path' });
  const method = await api.get('/v2/models/repurchase/infer');
  expect([method.status, method.headers.get('allow')]).toEqual([405, 'OPTIONS, POST']);
  expect(await method.json()).toMatchObject({ error: expect.stringContaining('GET is not allowed here') });
});

describe('a model’s metadata', () => {
  it('has inputs and outputs with their types and shapes, and the served versions', async () => {
    const metadata = await json('/v2/models/zoo/versions/1');
    expect(metadata).toMatchObject({ name: 'zoo', versions: ['1'], platform: 'onnx_onnxv1' });
    expect(metadata.inputs).toContainEqual({ name: 'float16', datatype: 'FP16', shape: [-1, 1] });
    expect(metadata.inputs).toContainEqual({ name: 'count', datatype: 'INT64', shape: [-1] });
    expect(metadata.outputs).toContainEqual({ name: 'vector_out', datatype: 'FP32', shape: [-1, 3] });
    expect(metadata.outputs).toContainEqual({ name: 'string_out', datatype: 'BYTES', shape: [-1, 1] });
  });

  it('of the hybrid view has user ids as input, and fields and their provenance as outputs', async () => {
    const metadata = await json('/v2/models/repurchase.hybrid');
    expect(metadata.versions).toBeUndefined();
    expect(metadata.inputs).toEqual([{ name: 'user_id', datatype: 'BYTES', shape: [-1] }]);
    expect(metadata.outputs[0]).toEqual({ name: 'score', datatype: 'FP32', shape: [-1] });
    expect(metadata.outputs).toContainEqual({ name: 'tandem.source', datatype: 'BYTES', shape: [-1] });
    expect(metadata.outputs).toContainEqual({ name: 'tandem.context_version', datatype: 'INT64', shape: [-1] });
  });
});

describe('raw inference', () => {
  it('returns the model’s output tensors, the id of the request, and the version that answered', async () => {
    const answer = await infer('repurchase', {
      id: 'a1',
      inputs: [
        features([
          [10, 1],
          [20, 2],
        ]),
      ],
    });
    expect(answer).toMatchObject({ model_name: 'repurchase', model_version: '1', id: 'a1' });
    expect(answer.parameters).toMatchObject({ variant: 'stable' });
    expect(answer.outputs).toHaveLength(1);
    expect(answer.byName.score).toMatchObject({ datatype: 'FP32', shape: [2, 1] });
    const [first, second] = numbersOf(answer.byName.score);
    expect(first).toBeCloseTo(scoreOf(10, 1), 5);
    expect(second).toBeCloseTo(scoreOf(20, 2), 5);
  });

  it('accepts and returns every element type in JSON', async () => {
    const values: Record<string, unknown> = { string: 'ä \u{1F600}', bool: true, float16: 0.5, float32: -1.25 };
    const inputs = ZOO.map(({ name, width }) => ({
      ...{ name, datatype: datatypes[name] ?? 'FP32' },
      shape: width === null ? [2] : [2, width],
      data: Array.from({ length: 2 * (width ?? 1) }, (_, i) => values[name] ?? i + 1),
    }));
    const { byName } = await infer('zoo', { inputs });
    for (const { name, datatype, shape, data } of inputs) {
      expect(byName[`${name}_out`]).toEqual({ name: `${name}_out`, datatype, shape, data });
    }
  });

  it('returns only the requested outputs, in the requested order', async () => {
    const { outputs } = await infer('zoo', {
      inputs: zooInputs(1),
      outputs: [{ name: 'count_out' }, { name: 'bool_out' }],
    });
    expect(outputs.map(({ name }) => name)).toEqual(['count_out', 'bool_out']);
  });

  it('answers a request without rows with outputs without rows', async () => {
    const { outputs } = await infer('zoo', { inputs: zooInputs(0) });
    expect(outputs).toHaveLength(ZOO.length);
    expect(outputs.find(({ name }) => name === 'vector_out')).toMatchObject({ shape: [0, 3], data: [] });
  });

  it('answers 10,000 rows of binary data within the time limit of the request', async () => {
    const rows = Float32Array.from({ length: 20_000 }, (_, i) => i / 1_000);
    const response = await binaryInfer({ shape: [10_000, 2], bytes: Buffer.from(rows.buffer), timeout: 20_000_000 });
    const jsonLength = Number(response.headers.get('inference-header-content-length'));
    const body = Buffer.from(await response.arrayBuffer());
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(JSON.parse(body.toString('utf8', 0, jsonLength)).outputs).toEqual([
      { name: 'score', datatype: 'FP32', shape: [10_000, 1], parameters: { binary_data_size: 40_000 } },
    ]);
    const scores = new Float32Array(new Uint8Array(body.subarray(jsonLength)).buffer);
    for (const row of [0, 1, 4_999, 9_999]) {
      expect(scores[row]).toBeCloseTo(scoreOf(rows[2 * row] ?? 0, rows[2 * row + 1] ?? 0), 5);
    }
  });

  it('accepts a body without a media type, which clients of the protocol send', async () => {
    const body = JSON.stringify({ inputs: [features([[10, 1]])] });
    const response = await api.app.request('/v2/models/repurchase/infer', { method: 'POST', body: Buffer.from(body) });
    expect(response.status).toBe(200);
  });

  it.each([
    ['a model that does not exist', 'nobody', {}, 404, 'unknown_predictor', /no predictor "nobody"/],
    ['a version that no arm serves', 'repurchase/versions/7', {}, 404, 'unknown_model_version', /use 1, or leave out/],
    ['a datatype that does not exist', 'repurchase', { datatype: 'FP8' }, 422, 'invalid_input', /use one of BOOL/],
    ['another datatype', 'repurchase', { datatype: 'FP64' }, 422, 'invalid_input', /the model takes FP32/],
    ['another name', 'repurchase', { name: 'x' }, 422, 'invalid_input', /inputs\[0\]\.name is "x".*features/],
    ['another width', 'repurchase', { shape: [2, 1], data: [10, 1] }, 422, 'invalid_input', /the model takes \[2,2\]/],
    [
      'another count',
      'repurchase',
      { shape: [2, 2], data: [10, 1] },
      422,
      'invalid_input',
      /has 2 values.*send 4 values/,
    ],
    ['a text for a number', 'repurchase', { data: ['1', 2] }, 422, 'invalid_input', /data\[0\] is "1"/],
    ['a number beyond a float', 'repurchase', { data: [1e39, 2] }, 422, 'invalid_input', /data\[0\] is 1e\+39/],
    ['a negative size', 'repurchase', { shape: [-1, 2] }, 422, 'invalid_input', /has the size -1/],
    ['no data', 'repurchase', { data: undefined }, 422, 'invalid_input', /inputs\[0\]\.data is missing/],
    [
      'rows of other lengths',
      'repurchase',
      { shape: [2, 2], data: [[1], [2, 3, 4]] },
      422,
      'invalid_input',
      /data\[0\] has 1 entries/,
    ],
  ])('refuses %s', async (_, model, change, status, code, error) => {
    const input = { ...features([[10, 1]]), ...change };
    const response = await api.post(`/v2/models/${model}/infer`, { inputs: [input] });
    const found = await response.json();
    expect(found).toMatchObject({ error: expect.stringMatching(error), type: `urn:tandem:problem:${code}` });
    expect(response.status).toBe(status);
  });

  it.each([
    ['a missing input', { inputs: [] }, /inputs has no "features"/],
    ['an input twice', { inputs: [features([[1, 1]]), features([[1, 1]])] }, /inputs\[1\]\.name is "features" again/],
    ['an unknown output', { inputs: [features([[1, 1]])], outputs: [{ name: 'x' }] }, /the model returns score/],
    ['a timeout in words', { inputs: [features([[1, 1]])], parameters: { timeout: 'soon' } }, /parameters\.timeout/],
    [
      'missing bytes',
      { inputs: [{ ...features([]), data: undefined, parameters: { binary_data_size: 8 } }] },
      /announces 8 bytes/,
    ],
    ['shared memory', { inputs: [{ ...features([]), parameters: { shared_memory_region: 'a' } }] }, /is not supported/],
    ['a sequence', { inputs: [features([[1, 1]])], parameters: { sequence_id: 7 } }, /sequence_id is not supported/],
    ['no inputs', { outputs: [] }, /^inputs/],
  ])('refuses %s', async (_, body, error) => {
    const response = await api.post('/v2/models/repurchase/infer', body);
    expect(await response.json()).toMatchObject({ error: expect.stringMatching(error) });
    expect(response.status).toBe(422);
  });

  it('rejects a JSON length above that of the body, and a body that is not JSON', async () => {
    const headers = { 'inference-header-content-length': '999' };
    const long = await api.post('/v2/models/repurchase/infer', { inputs: [] }, headers);
    expect(long.status).toBe(400);
    const broken = await api.post('/v2/models/repurchase/infer', '{');
    expect(await broken.json()).toEqual({
      error: expect.stringContaining('Cannot read the body'),
      type: 'urn:tandem:problem:malformed_request',
    });
  });

  it('does not return NaN in JSON, but does as binary data', async () => {
    const nan = zooInputs(1).filter(({ name }) => name !== 'float32');
    const bytes = Buffer.from(Float32Array.of(Number.NaN).buffer);
    const body = (outputs: object[]) => {
      const input = { name: 'float32', datatype: 'FP32', shape: [1, 1], parameters: { binary_data_size: 4 } };
      return Buffer.from(JSON.stringify({ inputs: [...nan, input], outputs }));
    };
    const ask = (head: Buffer) =>
      api.app.request('/v2/models/zoo/infer', {
        method: 'POST',
        headers: { 'inference-header-content-length': String(head.length) },
        body: Buffer.concat([head, bytes]),
      });
    const refused = await ask(body([{ name: 'float32_out' }]));
    expect(await refused.json()).toMatchObject({ error: expect.stringContaining('which JSON cannot represent') });
    const given = await ask(body([{ name: 'float32_out', parameters: { binary_data: true } }]));
    const answer = Buffer.from(await given.arrayBuffer());
    expect(answer.subarray(-4).readFloatLE()).toBeNaN();
  });
});

describe('the hybrid view', () => {
  const users = (data: readonly unknown[], datatype = 'BYTES') => [
    { name: 'user_id', datatype, shape: [data.length], data },
  ];

  it('returns certified predictions in the order of the users, with their provenance', async () => {
    const { byName, parameters } = await infer('repurchase.hybrid', { inputs: users(['3', '1']) });
    expect(parameters).toEqual({ predictor: 'repurchase', batch: 0, live: 2, stale: 0, default: 0, unverified: 0 });
    expect(byName.score?.shape).toEqual([2]);
    const [third, first] = numbersOf(byName.score);
    expect(third).toBeCloseTo(scoreOf(30, 3), 5);
    expect(first).toBeCloseTo(scoreOf(10, 1), 5);
    expect(byName['tandem.source']?.data).toEqual(['live', 'live']);
    expect(byName['tandem.reason']?.data).toEqual(['missing', 'missing']);
    expect(byName['tandem.model_version']?.data).toEqual(['1', '1']);
    expect(byName['tandem.variant']?.data).toEqual(['stable', 'stable']);
    expect(byName['tandem.context_version']?.data).toEqual([0, 0]);
    expect(byName['tandem.error']).toBeUndefined();
  });

  it('accepts whole numbers as user ids, and ids in columns of width 1', async () => {
    const inputs = [{ name: 'user_id', datatype: 'INT64', shape: [1, 1], data: [[4]] }];
    const { byName } = await infer('repurchase.hybrid', { inputs, outputs: [{ name: 'score' }] });
    expect(numbersOf(byName.score)[0]).toBeCloseTo(scoreOf(40, 4), 5);
  });

  it('returns fields of every type', async () => {
    const { byName } = await infer('zoo.hybrid', { inputs: users(['5', '2']) });
    expect(byName.string_out).toMatchObject({ datatype: 'BYTES', shape: [2], data: ['plan 5', 'plan 2'] });
    expect(byName.bool_out).toMatchObject({ datatype: 'BOOL', data: [true, false] });
    expect(byName.float16_out).toMatchObject({ datatype: 'FP32', data: [5, 2] });
    expect(byName.uint64_out).toMatchObject({ datatype: 'UINT64', data: [5, 2] });
    expect(byName.vector_out).toMatchObject({ datatype: 'FP32', shape: [2, 3], data: [5, 5, 5, 2, 2, 2] });
  });

  it('fails as a whole with the problem of the first user who has no prediction', async () => {
    const response = await api.post('/v2/models/repurchase.hybrid/infer', { inputs: users(['1', '999']) });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      error: expect.stringContaining('user 999'),
      type: 'urn:tandem:problem:unknown_user',
    });
  });

  it('rejects a time limit in the request', async () => {
    const body = { inputs: users(['1']), parameters: { timeout: 1_000 } };
    const response = await api.post('/v2/models/repurchase.hybrid/infer', body);
    expect(await response.json()).toMatchObject({ error: expect.stringContaining('freshness.liveTimeout') });
  });

  it('returns the problem of each user in the output tandem.error if it is requested', async () => {
    const outputs = [{ name: 'score' }, { name: 'tandem.source' }, { name: 'tandem.error' }];
    const { byName } = await infer('repurchase.hybrid', { inputs: users(['999', '1', '01']), outputs });
    expect(byName['tandem.error']?.data).toEqual([
      'urn:tandem:problem:unknown_user',
      '',
      'urn:tandem:problem:invalid_input',
    ]);
    expect(byName['tandem.source']?.data).toEqual(['', 'live', '']);
    expect(numbersOf(byName.score)[0]).toBe(0);
  });

  it('honours the directives of a read', async () => {
    const inputs = users(['6']);
    const stored = await api.post(
      '/v2/models/repurchase.hybrid/infer',
      { inputs },
      { 'cache-control': 'only-if-cached' },
    );
    expect(stored.status).toBe(504);
    const { byName } = await infer('repurchase.hybrid', { inputs });
    expect(byName['tandem.source']?.data).toEqual(['live']);
    const path = '/v2/models/repurchase.hybrid/infer';
    const token = await api.post(path, { inputs: users(['1', '2']) }, { 'prediction-min-context': 'a.1' });
    expect(token.status).toBe(400);
  });

  it.each([
    ['a version', 'repurchase.hybrid/versions/1', users(['1']), 404, /has no versions/],
    ['floats', 'repurchase.hybrid', users([1.5], 'FP32'), 422, /send user ids as BYTES/],
    [
      'a matrix',
      'repurchase.hybrid',
      [{ name: 'user_id', datatype: 'BYTES', shape: [1, 2], data: ['1', '2'] }],
      422,
      /one user id in each row/,
    ],
    [
      'more users than a read',
      'repurchase.hybrid',
      users(Array.from({ length: 1_001 }, (_, i) => `${i}`)),
      422,
      /at most 1000/,
    ],
    ['a predictor that does not exist', 'nobody.hybrid', users(['1']), 404, /no predictor "nobody"/],
  ])('refuses %s', async (_, model, inputs, status, error) => {
    const response = await api.post(`/v2/models/${model}/infer`, { inputs });
    expect(await response.json()).toMatchObject({ error: expect.stringMatching(error) });
    expect(response.status).toBe(status);
  });
});

const datatypes: Readonly<Record<string, string>> = {
  ...{
    bool: 'BOOL',
    string: 'BYTES',
    float16: 'FP16',
    float32: 'FP32',
    float64: 'FP64',
    vector: 'FP32',
    count: 'INT64',
  },
  ...Object.fromEntries(
    [8, 16, 32, 64].flatMap((size) => [`int${size}`, `uint${size}`]).map((one) => [one, one.toUpperCase()]),
  ),
};

function zooInputs(rows: number) {
  return ZOO.map(({ name, width }) => ({
    ...{ name, datatype: datatypes[name] ?? '' },
    shape: width === null ? [rows] : [rows, width],
    data: new Array(rows * (width ?? 1)).fill(name === 'string' ? 'a' : name === 'bool' ? true : 1),
  }));
}

function binaryInfer({ shape, bytes, timeout }: { shape: number[]; bytes: Buffer; timeout: number }) {
  const input = { name: 'features', datatype: 'FP32', shape, parameters: { binary_data_size: bytes.length } };
  const head = Buffer.from(JSON.stringify({ parameters: { binary_data_output: true, timeout }, inputs: [input] }));
  return api.app.request('/v2/models/repurchase/infer', {
    method: 'POST',
    headers: { 'inference-header-content-length': String(head.length), 'content-type': 'application/octet-stream' },
    body: Buffer.concat([head, bytes]),
  });
}
