import { nestedModel } from '@tandem/testing/hostile-models';
import { externalDataModel, foreignModel, linearModel, loopModel, textModel } from '@tandem/testing/onnx-models';
import { FLOAT, field, graph, message, model, node, raw, value } from '@tandem/testing/onnx-writer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findFault } from './onnx-file.ts';

const good = linearModel({ weights: [1, 2] });
const reason = (bytes: Buffer | string) => findFault(Buffer.from(bytes as string))?.reason;

const nodes = [node('Identity', ['features'], ['score'])];
const [input, output] = [value('features', FLOAT, ['N', 1]), value('score', FLOAT, ['N', 1])];
/** Returns a model that is valid except for the given parts. */
const withConstant = (constant: Buffer) => model(graph(nodes, [constant], [input], [output]));
const withMore = (...more: Buffer[]) => model(Buffer.concat([graph(nodes, [], [input], [output]), ...more]));
const body = graph(nodes, [], [input], [output]);
/** Four values of four bytes. */
const tensor = raw('w', FLOAT, [4], Buffer.alloc(16));
const foreign = node('Backdoor', [], ['x'], {}, 'com.example');
const attributed = (...attributes: Buffer[]) =>
  withMore(message(1, [field(4, 'Constant'), field(2, 'c'), message(5, [field(1, 'value'), ...attributes])]));

/**
 * Returns a field's tag in five bytes, with a bit that readers in C++ drop. Those readers see this field, and other
 * readers see an unknown field.
 */
const disguised = (number: number, content: Buffer) => {
  const [tag = 0, rest = 0] = Buffer.from([(number << 3) & 0x7f, (number << 3) >> 7]);
  return Buffer.concat([Buffer.from([tag | 2 | 0x80, rest | 0x80, 0x80, 0x80, 0x10, content.length]), content]);
};
const elsewhere = Buffer.concat([field(1, 'location'), field(2, 'weights.bin')]);

describe('findFault', () => {
  it('accepts ordinary models: loops, operators of ai.onnx.ml, nested branches, packed and sparse constants', () => {
    const packed = Buffer.concat([
      field(1, Buffer.from([2, 2])),
      field(2, 21),
      field(8, 'i4'),
      field(9, Buffer.alloc(2)),
    ]);
    const sparse = message(15, [field(1, tensor), field(2, tensor), field(3, 1_000)]);
    for (const bytes of [good, loopModel(), textModel(), nestedModel(16), withConstant(packed), withMore(sparse)]) {
      expect(findFault(bytes)).toBeNull();
    }
  });

  it.each<[string, Buffer | string, string]>([
    ['nothing', '', 'empty'],
    ['a web page', '<!DOCTYPE html><html>', 'a web page'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1', 'Git LFS pointer'],
    ['a zip', 'PK\x03\x04abc', 'a zip archive'],
    ['a pickle', Buffer.from([0x80, 4, 0x95, 1]), 'a Python pickle'],
    ['a TensorFlow Lite model', 'abcdTFL3', 'TensorFlow Lite'],
    [
      'a model that ONNX Runtime would read in its own format',
      Buffer.concat([field(3, Buffer.from('\0\0ORTM')), good]),
      "ONNX Runtime's own format",
    ],
    ['zeros', Buffer.alloc(4096), 'not protobuf'],
    ['a length of 2 GiB', Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0x07, 1]), 'truncated, perhaps'],
    ['only an IR version', Buffer.from([0x08, 8]), 'no graph'],
    ['no opset', model(body, { opsets: {} }), 'does not name the opset'],
    ['a newer format', model(body, { ir: 9999 }), 'IR version 9999, but ONNX Runtime 1.30 reads up to 13'],
    [
      'a newer opset',
      model(body, { opsets: { '': 9999 } }),
      'opset 9999 of ai.onnx, but ONNX Runtime 1.30 reads 1 to 26',
    ],
    ['one of another domain', model(body, { opsets: { '': 17, 'ai.onnx.ml': 6 } }), 'opset 6 of ai.onnx.ml'],
    ['an opset of 0', model(body, { opsets: { '': 0 } }), 'opset 0'],
    ['the first half of a model', good.subarray(0, good.length >> 1), 'truncated, perhaps'],
    ['weights in another file', externalDataModel('../../etc/passwd'), 'external data'],
    [
      'only a location of them',
      withConstant(Buffer.concat([tensor, message(13, [field(1, 'location')])])),
      'external data',
    ],
    ['only their mark', withConstant(Buffer.concat([tensor, field(14, 1)])), 'external data'],
    ['them in an attribute', attributed(field(5, Buffer.concat([tensor, field(14, 1)]))), 'external data'],
    [
      'them in a sparse constant',
      withMore(message(15, [field(1, Buffer.concat([tensor, field(14, 1)]))])),
      'external data',
    ],
    ['a foreign operator', foreignModel('com.example'), 'operator "Backdoor" is of the domain "com.example"'],
    ['one with its domain repeated as a number', withMore(message(1, [foreign, field(7, 0)])), '"com.example"'],
    ['functions', model(body, { more: [message(25, [field(1, 'f')])] }), 'defines functions'],
    [
      'a constant of 4 TiB',
      withConstant(raw('bomb', FLOAT, [2 ** 40], Buffer.alloc(4))),
      '"bomb" declares 1099511627776 values, but has 1',
    ],
    [
      'one with a further size in an invalid encoding of four bytes',
      withConstant(Buffer.concat([raw('bomb', FLOAT, [2 ** 40], Buffer.alloc(4)), Buffer.from([0x0d, 0, 0, 0, 0])])),
      '"bomb" declares 1099511627776 values, but has 1',
    ],
    [
      'external data under a tag too large',
      withConstant(Buffer.concat([tensor, disguised(13, elsewhere)])),
      'not protobuf',
    ],
    ['functions under a tag too large', model(body, { more: [disguised(25, field(1, 'f'))] }), 'not protobuf'],
    [
      'an opset of a domain with the name of a JavaScript property',
      model(body, { opsets: { '': 17, constructor: 0 } }),
      'opset 0 of constructor, but ONNX Runtime 1.30 reads 1 and later',
    ],
    ['too few weights', withConstant(raw('w', FLOAT, [12, 1], Buffer.alloc(3))), '"w" declares 12 values, but has 0'],
    ['them in an attribute', attributed(field(5, raw('w', FLOAT, [12], Buffer.alloc(4)))), 'declares 12 values'],
    [
      'a huge sparse constant',
      withMore(message(15, [field(1, tensor), field(2, tensor), field(3, 2 ** 40)])),
      'has 1099511627776 values',
    ],
    [
      'two tensors that protobuf would merge',
      attributed(field(5, tensor), field(5, tensor)),
      'one attribute has field 5 twice',
    ],
    [
      'two graphs that protobuf would merge',
      model(body, { more: [message(7, [body])] }),
      'one model has field 7 twice',
    ],
    ['graphs nested deeper than by any exporter', nestedModel(17), 'more than 16 deep'],
    ['graphs nested deeper than protobuf allows', nestedModel(150), 'more than 16 deep'],
    ['too many nodes', withMore(Buffer.concat(Array(100_001).fill(Buffer.from([0x0a, 0])))), 'more than 100000 nodes'],
    [
      'too many members',
      withMore(Buffer.concat(Array(500_001).fill(Buffer.from([0x5a, 0])))),
      'more than 500000 members',
    ],
  ])('refuses %s', (_, bytes, why) => {
    expect(reason(bytes)).toContain(why);
  });

  it('returns a result for any bytes and any damaged model, and never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void findFault(Buffer.from(bytes))));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
        const damaged = Buffer.from(good);
        damaged[at] = byte;
        findFault(damaged);
      }),
    );
  });
});
