/** Tests of the Open Inference Protocol over gRPC, with a client generated from the protocol's `.proto` file. */
import { status } from '@grpc/grpc-js';
import type { HttpServer } from '@tandem/http-server/server';
import type { TensorData } from '@tandem/inference/process/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../../../../apps/api/api.fixture.ts';
import { scoreOf } from '../../../../apps/api/api.fixture.ts';
import { bearer, createKeyedApi, type KeyedApi } from '../../../../apps/api/keys/keyed-api.fixture.ts';
import { writeBinary } from '../messages/binary-data.ts';
import { createOpenApi } from '../models/open-api.fixture.ts';
import { type GrpcClient, openGrpcClient } from './grpc-client.fixture.ts';
import { start } from './port.ts';

let api: TestApi;
let server: HttpServer;
let grpc: GrpcClient;
beforeAll(async () => {
  api = await createOpenApi();
  server = await serve(api);
  grpc = openGrpcClient(server.port);
});
afterAll(async () => {
  grpc?.close();
  await server?.close(0);
  await api?.close();
});

function serve({ dependencies }: TestApi): Promise<HttpServer> {
  return start(dependencies.app, { host: '127.0.0.1', port: 0, connections: 16 });
}

const features = { name: 'features', datatype: 'FP32', shape: [2, 2] };
const ROWS = [10, 1, 20, 2];

/** Two rows for every input of `zoo`, as typed contents and as raw contents. */
const CONTENTS: readonly [
  name: string,
  datatype: string,
  contents: Record<string, readonly unknown[]> | null,
  data: TensorData,
][] = [
  ['float16', 'FP16', null, Uint16Array.of(0x3c00, 0x7e00)],
  ['float32', 'FP32', { fp32_contents: [1.5, Number.NaN] }, Float32Array.of(1.5, Number.NaN)],
  ['float64', 'FP64', { fp64_contents: [1.1, -0.5] }, Float64Array.of(1.1, -0.5)],
  ['int8', 'INT8', { int_contents: [-128, 127] }, Int8Array.of(-128, 127)],
  ['int16', 'INT16', { int_contents: [-32768, 1] }, Int16Array.of(-32768, 1)],
  ['int32', 'INT32', { int_contents: [-1, 2147483647] }, Int32Array.of(-1, 2147483647)],
  [
    'int64',
    'INT64',
    { int64_contents: ['-9223372036854775808', '9007199254740993'] },
    BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n),
  ],
  ['uint8', 'UINT8', { uint_contents: [0, 255] }, Uint8Array.of(0, 255)],
  ['uint16', 'UINT16', { uint_contents: [0, 65535] }, Uint16Array.of(0, 65535)],
  ['uint32', 'UINT32', { uint_contents: [0, 4294967295] }, Uint32Array.of(0, 4294967295)],
  ['uint64', 'UINT64', { uint64_contents: ['0', '18446744073709551615'] }, BigUint64Array.of(0n, 2n ** 64n - 1n)],
  ['bool', 'BOOL', { bool_contents: [true, false] }, Uint8Array.of(1, 0)],
  ['string', 'BYTES', { bytes_contents: [Buffer.from('ä'), Buffer.from('')] }, ['ä', '']],
  ['vector', 'FP32', { fp32_contents: [1, 2, 3, 4, 5, 6] }, Float32Array.of(1, 2, 3, 4, 5, 6)],
  ['count', 'INT64', { int64_contents: ['1', '2'] }, BigInt64Array.of(1n, 2n)],
];
const TYPED = CONTENTS.flatMap(([name, datatype, contents]) =>
  contents === null ? [] : [[name, datatype, contents] as const],
);
const shapes: Readonly<Record<string, number[]>> = { vector: [2, 3], count: [2] };
const inputOf = (name: string, datatype: string) => ({ name, datatype, shape: shapes[name] ?? [2, 1] });

describe('the six rpcs', () => {
  it('say that the server is live and ready, and give its metadata', async () => {
    expect(await grpc.call('ServerLive', {})).toEqual({ live: true });
    expect(await grpc.call('ServerReady', {})).toEqual({ ready: true });
    expect(await grpc.call('ServerMetadata', {})).toMatchObject({ name: 'tandem' });
  });

  it('say whether a model is ready, and describe its inputs and outputs', async () => {
    expect(await grpc.call('ModelReady', { name: 'repurchase' })).toEqual({ ready: true });
    expect(await grpc.call('ModelReady', { name: 'repurchase', version: '9' })).toEqual({ ready: false });
    expect(await grpc.call('ModelReady', { name: 'nobody' })).toEqual({ ready: false });
    expect(await grpc.call('ModelMetadata', { name: 'zoo', version: '1' })).toMatchObject({
      versions: ['1'],
      platform: 'onnx_onnxv1',
      inputs: expect.arrayContaining([{ name: 'vector', datatype: 'FP32', shape: ['-1', '3'] }]),
    });
  });
});

describe('ModelInfer', () => {
  it('answers raw contents with raw contents, of every element type', async () => {
    const answer = await grpc.call('ModelInfer', {
      ...{ model_name: 'zoo', id: 'b2' },
      inputs: CONTENTS.map(([name, datatype]) => inputOf(name, datatype)),
      raw_input_contents: CONTENTS.map(([, , , data]) => writeBinary(data)),
    });
    expect(answer).toMatchObject({ model_name: 'zoo', model_version: '1', id: 'b2' });
    expect(answer.parameters.variant).toMatchObject({ string_param: 'stable' });
    for (const [i, { name, datatype, shape }] of answer.outputs.entries()) {
      const [input, type, , data] = CONTENTS.find(([one]) => `${one}_out` === name) ?? ['', '', null, []];
      expect({ datatype, shape }).toEqual({ datatype: type, shape: (shapes[input] ?? [2, 1]).map(String) });
      expect(answer.raw_output_contents[i]).toEqual(writeBinary(data));
    }
    expect(answer.outputs).toHaveLength(CONTENTS.length);
  });

  it('answers typed contents with typed contents, and accepts float16 only as raw contents', async () => {
    const halves = { ...inputOf('float16', 'FP16') };
    // FP16 has no typed contents, and a request must have raw contents for all inputs or for none.
    const mixed = grpc.call('ModelInfer', { model_name: 'zoo', inputs: [halves] });
    await expect(mixed).rejects.toMatchObject({ details: expect.stringContaining('send raw_input_contents') });
    const answer = await grpc.call('ModelInfer', {
      ...{ model_name: 'repurchase', outputs: [{ name: 'score' }] },
      inputs: [{ ...features, contents: { fp32_contents: ROWS } }],
    });
    expect(answer.raw_output_contents).toEqual([]);
    expect(answer.outputs[0].contents.fp32_contents[0]).toBeCloseTo(scoreOf(10, 1), 5);
  });

  it('accepts and returns typed contents of every element type that has them', async () => {
    const inputs = TYPED.map(([name, datatype, contents]) => ({ ...inputOf(name, datatype), contents }));
    const answer = await grpc.call('ModelInfer', { model_name: 'typed', inputs });
    expect(answer.raw_output_contents).toEqual([]);
    expect(answer.outputs).toHaveLength(TYPED.length);
    for (const [i, [name, datatype, contents]] of TYPED.entries()) {
      expect(answer.outputs[i]).toMatchObject({
        ...inputOf(name, datatype),
        name: `${name}_out`,
        shape: expect.anything(),
      });
      expect(answer.outputs[i].contents).toMatchObject(contents);
    }
  });

  it.each([
    ['int8', { int_contents: [0, 128] }, 'int_contents[1] is 128, which a tensor of INT8 cannot hold'],
    ['int16', { int_contents: [-32_769, 0] }, 'int_contents[0] is -32769'],
    ['uint8', { uint_contents: [256, 0] }, 'uint_contents[0] is 256'],
    ['uint16', { uint_contents: [0, 65_536] }, 'uint_contents[1] is 65536'],
    ['int64', { int64_contents: [1] }, 'int64_contents has 1 values. To fix it: send 2 values, as in the shape'],
    ['bool', { bool_contents: [true, false, true] }, 'bool_contents has 3 values'],
    ['string', { bytes_contents: [] }, 'bytes_contents has 0 values'],
    ['float32', { fp64_contents: [1, 2] }, 'fp32_contents has 0 values'],
    ['uint64', { int64_contents: [1, 2] }, 'uint64_contents has 0 values'],
  ])('rejects typed contents of %s that do not fill the tensor', async (name, contents, text) => {
    const inputs = TYPED.map(([one, datatype, good]) => ({
      ...inputOf(one, datatype),
      contents: one === name ? contents : good,
    }));
    const i = TYPED.findIndex(([one]) => one === name);
    await expect(grpc.call('ModelInfer', { model_name: 'typed', inputs })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining(`inputs[${i}].contents.${text}`),
    });
  });

  it.each(CONTENTS.map(([name], i) => [name, i] as const))(
    'rejects raw contents of %s that lack a byte',
    async (_, i) => {
      const raw = CONTENTS.map(([, , , data]) => writeBinary(data));
      raw[i] = (raw[i] as Buffer).subarray(0, -1);
      const inputs = CONTENTS.map(([name, datatype]) => inputOf(name, datatype));
      await expect(
        grpc.call('ModelInfer', { model_name: 'zoo', inputs, raw_input_contents: raw }),
      ).rejects.toMatchObject({
        code: status.INVALID_ARGUMENT,
        details: expect.stringContaining(`inputs[${i}]: its raw contents`),
      });
    },
  );

  it('returns certified predictions of users with their provenance', async () => {
    const answer = await grpc.call('ModelInfer', {
      model_name: 'zoo.hybrid',
      inputs: [
        {
          name: 'user_id',
          datatype: 'BYTES',
          shape: [2],
          contents: { bytes_contents: [Buffer.from('5'), Buffer.from('2')] },
        },
      ],
      outputs: [
        'int64_out',
        'uint64_out',
        'string_out',
        'bool_out',
        'float64_out',
        'tandem.source',
        'tandem.age_seconds',
      ].map((name) => ({ name })),
    });
    const contents = answer.outputs.map(({ contents }: { contents: object }) => contents);
    expect(contents[0].int64_contents).toEqual(['5', '2']);
    expect(contents[1].uint64_contents).toEqual(['5', '2']);
    expect(contents[2].bytes_contents.map(String)).toEqual(['plan 5', 'plan 2']);
    expect(contents[3].bool_contents).toEqual([true, false]);
    expect(contents[4].fp64_contents).toEqual([5, 2]);
    expect(contents[5].bytes_contents.map(String)).toEqual(['live', 'live']);
    expect(contents[6].int64_contents).toEqual(['0', '0']);
  });

  it('honours the directives of a read in metadata', async () => {
    const ask = grpc.call(
      'ModelInfer',
      {
        model_name: 'repurchase.hybrid',
        inputs: [{ name: 'user_id', datatype: 'INT64', shape: [1], contents: { int64_contents: [7] } }],
      },
      { 'cache-control': 'only-if-cached' },
    );
    await expect(ask).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
  });

  it.each([
    ['a model that does not exist', { model_name: 'nobody' }, status.NOT_FOUND, /no predictor/],
    [
      'another datatype',
      { inputs: [{ ...features, datatype: 'FP64', contents: { fp64_contents: ROWS } }] },
      status.INVALID_ARGUMENT,
      /takes FP32/,
    ],
    [
      'too few values',
      { inputs: [{ ...features, contents: { fp32_contents: [1] } }] },
      status.INVALID_ARGUMENT,
      /has 1 values/,
    ],
    [
      'raw and typed contents',
      { inputs: [{ ...features, contents: { fp32_contents: ROWS } }], raw_input_contents: [Buffer.alloc(16)] },
      status.INVALID_ARGUMENT,
      /together with raw contents/,
    ],
    [
      'classification',
      {
        inputs: [{ ...features, contents: { fp32_contents: ROWS } }],
        outputs: [{ name: 'score', parameters: { classification: { int64_param: 3 } } }],
      },
      status.INVALID_ARGUMENT,
      /outputs\[0\]\.parameters\.classification is not supported/,
    ],
    [
      'a sequence',
      { parameters: { sequence_id: { int64_param: 7 } } },
      status.INVALID_ARGUMENT,
      /parameters\.sequence_id is not supported/,
    ],
    [
      'raw contents for some inputs',
      { inputs: [features, features], raw_input_contents: [Buffer.alloc(16)] },
      status.INVALID_ARGUMENT,
      /1 entries for 2 inputs/,
    ],
    [
      'texts that are not UTF-8',
      {
        model_name: 'repurchase.hybrid',
        inputs: [
          { name: 'user_id', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from([0xff])] } },
        ],
      },
      status.INVALID_ARGUMENT,
      /is not UTF-8/,
    ],
    [
      'a user who does not exist',
      {
        model_name: 'repurchase.hybrid',
        inputs: [
          { name: 'user_id', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('999')] } },
        ],
      },
      status.NOT_FOUND,
      /user 999/,
    ],
  ])('refuses %s', async (_, request, code, details) => {
    const refused = grpc.call('ModelInfer', { model_name: 'repurchase', ...request });
    await expect(refused).rejects.toMatchObject({ code, details: expect.stringMatching(details) });
  });

  it('gives the stable type of a problem in the trailers', async () => {
    const error = await grpc.call('ModelInfer', { model_name: 'nobody' }).catch((refused: unknown) => refused);
    const { metadata } = error as { metadata: { get(name: string): string[] } };
    expect(metadata.get('problem-type')).toEqual(['urn:tandem:problem:unknown_predictor']);
  });
});

describe('keys', () => {
  let keyed: KeyedApi;
  let guarded: HttpServer;
  let client: GrpcClient;
  beforeAll(async () => {
    keyed = await createKeyedApi();
    guarded = await serve(keyed);
    client = openGrpcClient(guarded.port);
  });
  afterAll(async () => {
    client?.close();
    await guarded?.close(0);
    await keyed?.close();
  });

  const asked = { model_name: 'repurchase', inputs: [{ ...features, contents: { fp32_contents: ROWS } }] };

  it('are required, with the scope of the model', async () => {
    await expect(client.call('ModelInfer', asked)).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
    const writer = await keyed.key({ scopes: ['events:write'] });
    const denied = client.call('ModelInfer', asked, bearer(writer.key));
    await expect(denied).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    const reader = await keyed.key();
    const lacking = client.call('ModelInfer', asked, bearer(reader.key));
    await expect(lacking).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
      details: expect.stringContaining('tandem key create --scopes models:infer'),
    });
    const user = { name: 'user_id', datatype: 'INT64', shape: [1], contents: { int64_contents: [3] } };
    const ofUser = { model_name: 'repurchase.hybrid', inputs: [user] };
    expect(await client.call('ModelInfer', ofUser, bearer(reader.key))).toMatchObject({ outputs: expect.any(Array) });
    const inferrer = await keyed.key({ scopes: ['models:infer'] });
    expect(await client.call('ModelInfer', asked, bearer(inferrer.key))).toMatchObject({ model_version: '1' });
    expect(await client.call('ModelReady', { name: 'repurchase' }, bearer(inferrer.key))).toEqual({ ready: true });
    await expect(client.call('ModelInfer', ofUser, bearer(inferrer.key))).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    expect(await client.call('ServerLive', {})).toEqual({ live: true });
  });

  it('limit requests, and rows of live inference', async () => {
    const slow = await keyed.key({ requestsPerSecond: 0.001 });
    const calls = Array.from({ length: 5 }, () => client.call('ModelReady', { name: 'repurchase' }, bearer(slow.key)));
    const ends = await Promise.allSettled(calls);
    const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
    expect(refused[0]).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(refused).toHaveLength(4);
    expect(Number(refused[0].metadata.get('retry-after'))).toBeGreaterThan(900);
    const few = await keyed.key({ scopes: ['models:infer'], livePerSecond: 0.001 });
    const many = await client.call('ModelInfer', asked, bearer(few.key)).catch((error) => error);
    expect(many).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: expect.stringContaining('send at most 1 rows in a request'),
    });
    expect(many.metadata.get('retry-after')).toEqual([]);
    // The rejected request did not count against the limit.
    const one = { ...features, shape: [1, 2], contents: { fp32_contents: [10, 1] } };
    const single = client.call('ModelInfer', { ...asked, inputs: [one] }, bearer(few.key));
    expect(await single).toMatchObject({ model_version: '1' });
  });

  it('are counted and logged as over HTTP', async () => {
    expect(keyed.logged()).toContain('"operation":"grpcModelInfer"');
    expect(await (await keyed.get('/metrics')).text()).toContain('grpcModelInfer');
  });
});
