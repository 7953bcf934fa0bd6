import { externalDataModel, foreignModel, linearModel, loopModel, textModel } from '@tandem/testing/onnx-models';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findFault } from './onnx-file.ts';

const good = linearModel({ weights: [1, 2] });
const reason = (bytes: Buffer | string) => findFault(Buffer.from(bytes as string))?.reason;

describe('findFault', () => {
  it('lets ordinary models pass, with loops and with operators of ai.onnx.ml', () => {
    for (const bytes of [good, loopModel(), textModel()]) expect(findFault(bytes)).toBeNull();
  });

  it.each<[string, Buffer | string, string]>([
    ['nothing', '', 'empty'],
    ['a web page', '<!DOCTYPE html><html>', 'a web page'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1', 'Git LFS pointer'],
    ['a zip', 'PK\x03\x04abc', 'a zip archive'],
    ['a pickle', Buffer.from([0x80, 4, 0x95, 1]), 'a Python pickle'],
    ['zeros', Buffer.alloc(4096), 'not protobuf'],
    ['a length of 2 GiB', Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0x07, 1]), 'truncated, perhaps'],
    ['only an IR version', Buffer.from([0x08, 8]), 'no graph'],
    ['the first half of a model', good.subarray(0, good.length >> 1), 'truncated, perhaps'],
    ['weights in another file', externalDataModel('../../etc/passwd'), 'external data'],
    [
      'an operator of a foreign library',
      foreignModel('com.example'),
      'operator Backdoor is of the domain "com.example"',
    ],
  ])('refuses %s', (_, bytes, why) => {
    expect(reason(bytes)).toContain(why);
  });

  it('refuses graphs nested deeper than protobuf reads', () => {
    let graph: Buffer = Buffer.alloc(0);
    const wrap = (field: number) => {
      const length: number[] = [];
      for (let rest = graph.length; ; rest >>>= 7) {
        length.push(rest < 128 ? rest : (rest & 127) | 128);
        if (rest < 128) break;
      }
      graph = Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), graph]);
    };
    // graph → node → attribute → graph → …
    for (let i = 0; i < 60; i++) [6, 5, 1].forEach(wrap);
    wrap(7);
    expect(reason(graph)).toContain('nested more than');
  });

  it('answers for any bytes and any damage to a model, and never throws', () => {
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
