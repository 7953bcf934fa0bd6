/** Hostile calls, each with the expected code and a part of the expected text. */
import { deflateSync, gzipSync } from 'node:zlib';
import { encode, framed, type RawCall } from './call.fixture.ts';

export interface HostileCall extends RawCall {
  readonly name: string;
  readonly code: string;
  readonly text: string | RegExp;
}

const FEATURES = { name: 'features', datatype: 'FP32', shape: [1, 1] };
export const GOOD = { model_name: 'count', inputs: [FEATURES], raw_input_contents: [Buffer.alloc(4)] };
export const GOOD_USERS = {
  model_name: 'count.hybrid',
  inputs: [{ name: 'user_id', datatype: 'INT64', shape: [2], contents: { int64_contents: [1, 2] } }],
};

const infer = (message: object): RawCall => ({ bytes: [framed(encode(message))] });
const shaped = (...shape: unknown[]) => infer({ ...GOOD, inputs: [{ ...FEATURES, shape }] });
const users = (contents: object, count = 1, datatype = 'BYTES') =>
  infer({ model_name: 'count.hybrid', inputs: [{ name: 'user_id', datatype, shape: [count], contents }] });
const raw = (message: Uint8Array, options = {}): RawCall => ({ bytes: [framed(message, options)] });
const gzip = { 'grpc-encoding': 'gzip' };
const MIB = 1_048_576;

/** Nested groups, which a decoder may process by recursion. */
const NESTED = Buffer.concat([Buffer.alloc(500_000, 0x0b), Buffer.alloc(500_000, 0x0c)]);
/** A BYTES tensor with one text whose declared length is 4 GiB. */
const LYING_TEXT = Buffer.from([255, 255, 255, 255, 97]);

type Row = readonly [name: string, call: RawCall, code: string, text: string | RegExp];

const MESSAGES: readonly Row[] = [
  ['a size that is negative', shaped(-1, 1), 'INVALID_ARGUMENT', 'inputs[0].shape has the size -1'],
  ['a size of 2^62', shaped('4611686018427387904'), 'INVALID_ARGUMENT', 'inputs[0].shape has the size'],
  ['sizes whose product overflows', shaped('4294967296', '4294967296'), 'INVALID_ARGUMENT', 'more than 1048576 values'],
  ['sizes that multiply to nothing', shaped('9007199254740991', 0), 'INVALID_ARGUMENT', /values|bytes/],
  ['50,000 sizes of one', shaped(...new Array(50_000).fill(1)), 'OK', ''],
  ['no size', shaped(), 'INVALID_ARGUMENT', 'inputs[0].shape'],
  ['more rows than were sent', shaped(1_000_000, 1), 'INVALID_ARGUMENT', 'its raw contents has 4 bytes'],
  [
    '10,001 rows',
    infer({ ...GOOD, inputs: [{ ...FEATURES, shape: [10_001, 1] }], raw_input_contents: [Buffer.alloc(40_004)] }),
    'INVALID_ARGUMENT',
    'send at most 10000',
  ],
  [
    'another width',
    infer({ ...GOOD, inputs: [{ ...FEATURES, shape: [1, 2] }], raw_input_contents: [Buffer.alloc(8)] }),
    'INVALID_ARGUMENT',
    'the model takes [1,1]',
  ],
  ['no input', infer({ model_name: 'count' }), 'INVALID_ARGUMENT', 'inputs has no "features"'],
  [
    'the same input again',
    infer({ ...GOOD, inputs: [FEATURES, FEATURES], raw_input_contents: [Buffer.alloc(4), Buffer.alloc(4)] }),
    'INVALID_ARGUMENT',
    'again',
  ],
  [
    '4,097 inputs',
    infer({ model_name: 'count', inputs: new Array(4_097).fill({}) }),
    'INVALID_ARGUMENT',
    'more than 4096 inputs',
  ],
  [
    'a datatype that does not exist',
    infer({ ...GOOD, inputs: [{ ...FEATURES, datatype: '\u0000'.repeat(900_000) }] }),
    'INVALID_ARGUMENT',
    'inputs[0].datatype is',
  ],
  [
    'a name of 900,000 letters',
    infer({ ...GOOD, inputs: [{ ...FEATURES, name: 'x'.repeat(900_000) }] }),
    'INVALID_ARGUMENT',
    'the model takes features',
  ],
  ['a model of 900,000 letters', infer({ ...GOOD, model_name: 'é'.repeat(450_000) }), 'NOT_FOUND', 'predictor'],
  [
    'a model version that is not a number',
    infer({ ...GOOD, model_version: "1' or 1=1" }),
    'NOT_FOUND',
    'does not serve model version',
  ],
  ['a version of a hybrid model', infer({ ...GOOD_USERS, model_version: '1' }), 'NOT_FOUND', 'has no versions'],
  [
    'an output that does not exist',
    infer({ ...GOOD, outputs: [{ name: '__proto__' }] }),
    'INVALID_ARGUMENT',
    'the model returns',
  ],
  [
    'a timeout below nothing',
    infer({ ...GOOD, parameters: { timeout: { int64_param: -1 } } }),
    'INVALID_ARGUMENT',
    'parameters.timeout is -1',
  ],
  [
    'a timeout that is not a number',
    infer({ ...GOOD, parameters: { timeout: { double_param: Number.NaN } } }),
    'INVALID_ARGUMENT',
    'parameters.timeout',
  ],
  [
    '65,537 integers',
    users({ int64_contents: new Array(65_537).fill(1) }, 65_537, 'INT64'),
    'INVALID_ARGUMENT',
    'more than 65536 typed values',
  ],
  [
    '1,001 users',
    users({ int64_contents: new Array(1_001).fill(1) }, 1_001, 'INT64'),
    'INVALID_ARGUMENT',
    'send at most 1000',
  ],
  ['a user id with U+0000', users({ bytes_contents: [Buffer.from('1\u0000')] }), 'INVALID_ARGUMENT', ''],
  ['a user id of 900,000 digits', users({ bytes_contents: [Buffer.alloc(900_000, 49)] }), 'INVALID_ARGUMENT', ''],
  ['a user id below all', users({ int64_contents: ['-9223372036854775808'] }, 1, 'INT64'), 'NOT_FOUND', 'user'],
  [
    'a text that lies of its length',
    infer({
      ...GOOD_USERS,
      inputs: [{ name: 'user_id', datatype: 'BYTES', shape: [1] }],
      raw_input_contents: [LYING_TEXT],
    }),
    'INVALID_ARGUMENT',
    'ends within text 0',
  ],
  [
    'parameters named __proto__',
    infer({ ...GOOD, parameters: Object.fromEntries([['__proto__', { int64_param: 1 }]]) }),
    'OK',
    '',
  ],
];

const BYTES: readonly Row[] = [
  ['no byte of a message', { bytes: [] }, 'INVALID_ARGUMENT', 'before its message had arrived'],
  ['an empty message', raw(Buffer.alloc(0)), 'NOT_FOUND', 'predictor'],
  [
    'half of the bytes that it says',
    raw(encode(GOOD), { length: 1_000 }),
    'INVALID_ARGUMENT',
    'before its message had arrived',
  ],
  ['fewer bytes than it sends', raw(encode(GOOD), { length: 3 }), 'RESOURCE_EXHAUSTED', 'larger than max'],
  ['a length of 4 GiB', raw(encode(GOOD), { length: 2 ** 32 - 1 }), 'RESOURCE_EXHAUSTED', 'larger than max'],
  ['a length of 1 MiB and a byte', raw(Buffer.alloc(10), { length: MIB + 1 }), 'RESOURCE_EXHAUSTED', 'larger than max'],
  ['3,000 messages', { bytes: [Buffer.alloc(15_000)] }, 'INVALID_ARGUMENT', 'A call has one message'],
  ['groups in groups', raw(NESTED), 'INVALID_ARGUMENT', 'more than 4096'],
  ['an integer without an end', raw(Buffer.alloc(30, 255)), 'INVALID_ARGUMENT', 'does not have the form'],
  [
    'a field that ends beyond the message',
    raw(Buffer.from([0x2a, 0x7f, 1])),
    'INVALID_ARGUMENT',
    'does not have the form',
  ],
  ['a message of a field that is unknown', raw(Buffer.from([0xfa, 0x3f, 1, 0])), 'NOT_FOUND', 'predictor'],
  ['524,288 empty inputs', raw(Buffer.alloc(MIB, Buffer.from([0x2a, 0]))), 'INVALID_ARGUMENT', 'more than 4096 inputs'],
  [
    'gzip that unpacks to 64 MiB',
    { headers: gzip, ...raw(gzipSync(Buffer.alloc(64 * MIB)), { compressed: 1 }) },
    'RESOURCE_EXHAUSTED',
    'decompresses',
  ],
  [
    'deflate that unpacks to 64 MiB',
    { headers: { 'grpc-encoding': 'deflate' }, ...raw(deflateSync(Buffer.alloc(64 * MIB)), { compressed: 1 }) },
    'RESOURCE_EXHAUSTED',
    'decompresses',
  ],
  // gRPC's specification prescribes INTERNAL for bytes that cannot be decompressed.
  [
    'gzip that is none',
    { headers: gzip, ...raw(Buffer.alloc(99, 7), { compressed: 1 }) },
    'INTERNAL',
    'Failed to decompress message',
  ],
  [
    'half of a gzip',
    { headers: gzip, ...raw(gzipSync(encode(GOOD)).subarray(0, 15), { compressed: 1 }) },
    'INTERNAL',
    'Failed to decompress message',
  ],
  [
    'an unknown encoding',
    { headers: { 'grpc-encoding': 'x'.repeat(100) }, ...raw(encode(GOOD), { compressed: 1 }) },
    'UNIMPLEMENTED',
    'unsupported encoding',
  ],
];

const HEADERS: readonly Row[] = [
  ['an rpc that does not exist', { ...infer(GOOD), rpc: 'RepositoryIndex' }, 'UNIMPLEMENTED', 'does not implement'],
  ['a path of 8,000 letters', { ...infer(GOOD), rpc: '../'.repeat(2_600) }, 'UNIMPLEMENTED', 'does not implement'],
  ['no time at all', { ...infer(GOOD), headers: { 'grpc-timeout': '0n' } }, 'DEADLINE_EXCEEDED', /eadline|in time/],
  // gRPC's specification does not define the code, and grpc-js uses INTERNAL.
  ['a time that is none', { ...infer(GOOD), headers: { 'grpc-timeout': 'soon' } }, 'INTERNAL', 'Invalid grpc-timeout'],
  ['a key of other letters', { ...infer(GOOD), headers: { authorization: 'Bearer \u00e4' } }, 'OK', ''],
  [
    '100 more header fields',
    { ...infer(GOOD), headers: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-${i}`, 'y'])) },
    'OK',
    '',
  ],
  ['names that metadata cannot have', { ...infer(GOOD), headers: { 'a!b': '1', 'c-bin': '***' } }, 'OK', ''],
  [
    'directives that are none',
    { ...infer(GOOD_USERS), headers: { 'cache-control': 'max-age=-1' } },
    'INVALID_ARGUMENT',
    '',
  ],
  [
    'a context token that is none',
    { ...infer(GOOD_USERS), headers: { 'prediction-min-context': '%%%' } },
    'INVALID_ARGUMENT',
    '',
  ],
];

/** Calls that never send a whole message. Each is ended after 7 s. */
const SLOW: readonly Row[] = [
  [
    'a part of a message, and then nothing',
    { bytes: [framed(Buffer.alloc(10), { length: 100 })], staysOpen: true },
    'DEADLINE_EXCEEDED',
    'did not arrive within 7 s',
  ],
  ['nothing', { bytes: [], staysOpen: true }, 'DEADLINE_EXCEEDED', 'did not arrive within 7 s'],
];

export const CALLS: readonly HostileCall[] = [...MESSAGES, ...BYTES, ...HEADERS, ...SLOW].map(
  ([name, call, code, text]) => ({ ...call, name, code, text }),
);
