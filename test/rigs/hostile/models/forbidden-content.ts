/** Models that ONNX Runtime might load, with content that Tandem never loads. */
import { nestedModel } from '@tandem/testing/hostile-models';
import { FLOAT, field, floats, message, model, node, raw } from '@tandem/testing/onnx-writer';
import { around, bodyOf, type ModelCase, refused, soundModel } from './model-case.ts';

const bad = (name: string, says: string, bytes: () => Buffer) => refused('bytes', name, says, bytes);
const NODES = [node('MatMul', ['features', 'w'], ['score'])];
const COUNTED = [field(1, 2), field(1, 1), field(2, FLOAT), field(8, 'w')];
/** Makes the weights `w` with further fields. */
const weights = (...more: Buffer[]) => Buffer.concat([...COUNTED, ...more]);
const external = (location: string) => weights(message(13, [field(1, 'location'), field(2, location)]), field(14, 1));
const withWeights = (tensor: Buffer) => model(bodyOf(NODES, [tensor]));
const withAttribute = (...parts: Buffer[]) =>
  around([
    rawNode('Constant', ['c'], message(5, [field(1, 'value'), ...parts])),
    node('Mul', ['first', 'c'], ['score']),
  ]);
const inBranch = (constant: Buffer) => {
  const branch = message(6, [field(1, node('Identity', ['w'], ['b'])), field(2, 'g'), field(5, constant)]);
  return around([rawNode('If', ['score'], message(5, [field(1, 'then_branch'), branch, field(20, 5)]))]);
};
const EXTERNAL = 'it keeps weights in another file (external data), which is never opened';
const FOREIGN = 'external libraries are never loaded';
const sparse = (...parts: Buffer[]) => model(bodyOf(NODES, [], [message(15, parts)]));
const four = raw('w', FLOAT, [4], Buffer.alloc(16));

export const FORBIDDEN: readonly ModelCase[] = [
  bad('weights in a file next to the model', EXTERNAL, () => withWeights(external('weights.bin'))),
  bad('weights two folders up', EXTERNAL, () => withWeights(external('../../etc/passwd'))),
  bad('weights at a disguised parent path', EXTERNAL, () => withWeights(external('a/../../../etc/passwd'))),
  bad('weights at an absolute path', EXTERNAL, () => withWeights(external('/etc/passwd'))),
  bad('weights at a hard link', EXTERNAL, () => withWeights(external('hardlink-to-passwd'))),
  bad('weights at a device', EXTERNAL, () => withWeights(external('/dev/zero'))),
  bad('weights in the memory of the process', EXTERNAL, () => withWeights(external('/proc/self/mem'))),
  bad('weights on another server', EXTERNAL, () => withWeights(external('http://169.254.169.254/latest/meta-data/'))),
  bad('weights on a share', EXTERNAL, () => withWeights(external('\\\\server\\share\\w'))),
  bad('weights at a path after a NUL', EXTERNAL, () => withWeights(external('weights.bin\0/etc/passwd'))),
  bad('external data without a location', EXTERNAL, () =>
    withWeights(weights(field(9, Buffer.alloc(8)), field(14, 1))),
  ),
  bad('an unknown data location', EXTERNAL, () => withWeights(weights(field(9, Buffer.alloc(8)), field(14, 7)))),
  bad('a negative data location', EXTERNAL, () => withWeights(weights(field(9, Buffer.alloc(8)), field(14, -1)))),
  bad('a location without the external data flag', EXTERNAL, () =>
    withWeights(weights(field(9, Buffer.alloc(8)), message(13, []))),
  ),
  bad('external data in the values of a sparse constant', EXTERNAL, () =>
    sparse(field(1, external('x')), field(2, four), field(3, 2)),
  ),
  bad('external data in the indices of a sparse constant', EXTERNAL, () =>
    sparse(field(1, four), field(2, external('x')), field(3, 2)),
  ),
  bad('external weights of an attribute', EXTERNAL, () => withAttribute(field(5, external('x')), field(20, 4))),
  bad('external data in one of several tensors of an attribute', EXTERNAL, () =>
    withAttribute(field(10, four), field(10, external('x')), field(20, 9)),
  ),
  bad('external data in a sparse attribute', EXTERNAL, () =>
    withAttribute(message(22, [field(1, external('x'))]), field(20, 11)),
  ),
  bad('external weights of a branch', EXTERNAL, () => inBranch(external('x'))),
  bad('an operator of an unknown domain', FOREIGN, () =>
    around([node('Backdoor', ['first'], ['score'], {}, 'com.example.evil')]),
  ),
  bad('an operator of a domain with a NUL', FOREIGN, () =>
    around([node('Neg', ['first'], ['score'], {}, 'ai.onnx\0')]),
  ),
  bad('a domain in Cyrillic letters', FOREIGN, () => around([node('Neg', ['first'], ['score'], {}, 'аi.onnx')])),
  bad('a domain with a JavaScript property name', FOREIGN, () =>
    around([node('Neg', ['first'], ['score'], {}, '__proto__')]),
  ),
  bad('an operator for training', FOREIGN, () =>
    around([node('Adam', ['first'], ['score'], {}, 'ai.onnx.preview.training')]),
  ),
  bad('an internal layout of the runtime', FOREIGN, () =>
    around([node('Conv', ['first'], ['score'], {}, 'com.microsoft.nchwc')]),
  ),
  bad('an operator of Python', FOREIGN, () => around([node('PyOp', ['first'], ['score'], {}, 'pyopadd')])),
  bad('a function in the model', 'defines functions, which', () =>
    soundModel({ more: [message(25, [field(1, 'f')])] }),
  ),
  bad('functions that each double the operators', 'defines functions, which', () =>
    soundModel({ more: doublingFunctions(30) }),
  ),
  bad('an unknown IR version', 'IR version 9999', () => soundModel({ ir: 9_999 })),
  bad('a negative IR version', 'IR version 18446744073709552000', () => soundModel({ ir: -1 })),
  bad('an unknown opset', 'opset 27 of ai.onnx', () => soundModel({ opsets: { '': 27 } })),
  bad('an unknown opset of ai.onnx.ml', 'opset 6 of ai.onnx.ml', () =>
    soundModel({ opsets: { '': 17, 'ai.onnx.ml': 6 } }),
  ),
  bad('opset 0', 'opset 0 of ai.onnx', () => soundModel({ opsets: { '': 0 } })),
  bad('a negative opset', 'opset 18446744073709552000', () => soundModel({ opsets: { '': -1 } })),
  bad('no opset', 'does not name the opset', () => soundModel({ opsets: {} })),
  bad('a constant of 4 TiB', '"w" declares 1099511627776 values, but has 2', () =>
    withWeights(floats('w', [2 ** 40], [1, 2])),
  ),
  bad('dimensions whose product is 2^64', 'declares 18446744073709552000 values', () =>
    withWeights(floats('w', [2 ** 32, 2 ** 32], [1, 2])),
  ),
  bad('a negative dimension', 'values, but has', () => withWeights(floats('w', [-1], [1]))),
  bad('two negative dimensions', 'values, but has', () => withWeights(floats('w', [-2, -1], [1, 2]))),
  bad('fewer weights than declared', 'declares 2 values, but has 0', () =>
    withWeights(raw('w', FLOAT, [2, 1], Buffer.alloc(3))),
  ),
  bad('no weights', 'declares 2 values, but has 0', () => withWeights(weights())),
  bad('a sparse constant of 1 TiB', 'has 1099511627776 values', () =>
    sparse(field(1, four), field(2, four), field(3, 2 ** 40)),
  ),
  bad('two tensors in one field of an attribute', 'one attribute has field 5 twice', () =>
    withAttribute(field(5, four), field(5, four), field(20, 4)),
  ),
  bad('graphs nested 17 deep', 'more than 16 deep', () => nestedModel(17)),
  bad('graphs nested 150 deep', 'more than 16 deep', () => nestedModel(150)),
  bad('too many nodes', 'more than 100000 nodes', () => model(Buffer.concat(Array(100_001).fill(field(1, ''))))),
  bad('too many members', 'more than 500000 members', () => model(Buffer.concat(Array(500_001).fill(field(13, ''))))),
];

function rawNode(operator: string, outputs: readonly string[], ...attributes: Buffer[]): Buffer {
  return Buffer.concat([...outputs.map((name) => field(2, name)), field(4, operator), ...attributes]);
}

/** Makes functions that each call the previous one twice. After inlining they are 2^count operators. */
function doublingFunctions(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const inner = (from: string, to: string) =>
      message(7, [field(1, from), field(2, to), field(4, `f${i - 1}`), field(7, 'local')]);
    return message(25, [
      field(1, `f${i}`),
      field(4, 'x'),
      field(5, 'y'),
      inner('x', 'm'),
      inner('m', 'y'),
      field(10, 'local'),
    ]);
  });
}
