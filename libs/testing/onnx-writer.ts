/**
 * Writes ONNX files byte by byte (field numbers from onnx.proto3, opset 17), for the toy models of this folder. It uses
 * no ONNX library, so that it can also write files that no library would.
 */

export const FLOAT = 1;
export const INT64 = 7;
export const STRING = 8;
export const BOOL = 9;
export const ELEMENT: Readonly<Record<string, number>> = {
  float32: FLOAT,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: INT64,
  string: STRING,
  bool: BOOL,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

export type Dim = number | string;
type AttributeValue =
  | number
  | bigint
  | string
  | readonly number[]
  | readonly string[]
  | { floats: readonly number[] }
  | { tensor: Buffer }
  | { graph: Buffer };

export interface ModelHead {
  readonly ir?: number;
  /** Opset versions by domain; '' is ai.onnx. */
  readonly opsets?: Readonly<Record<string, number>>;
  /** Further fields of the model. */
  readonly more?: readonly Buffer[];
}

export function model(body: Buffer, { ir = 8, opsets, more = [] }: ModelHead = {}): Buffer {
  const imports = Object.entries(opsets ?? { '': 17, 'ai.onnx.ml': 3 });
  const opset = ([domain, version]: [string, number]) => message(8, [field(1, domain), field(2, version)]);
  return Buffer.concat([field(1, ir), field(2, 'tandem'), ...imports.map(opset), field(7, body), ...more]);
}

export function graph(
  nodes: readonly Buffer[],
  constants: readonly Buffer[],
  inputs: readonly Buffer[],
  outputs: readonly Buffer[],
): Buffer {
  return Buffer.concat([
    ...nodes.map((bytes) => field(1, bytes)),
    field(2, 'g'),
    ...constants.map((bytes) => field(5, bytes)),
    ...inputs.map((bytes) => field(11, bytes)),
    ...outputs.map((bytes) => field(12, bytes)),
  ]);
}

export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue | { float: number }>> = {},
  domain = '',
): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => field(1, name)),
    ...outputs.map((name) => field(2, name)),
    field(4, operator),
    ...Object.entries(attributes).map(([name, content]) => field(5, attribute(name, content))),
    field(7, domain),
  ]);
}

function attribute(name: string, content: AttributeValue | { float: number }): Buffer {
  const typed = (type: number, ...parts: Buffer[]) => Buffer.concat([field(1, name), ...parts, field(20, type)]);
  if (typeof content === 'number' || typeof content === 'bigint') return typed(2, field(3, content));
  if (typeof content === 'string') return typed(3, field(4, content));
  if ('float' in content) return typed(1, float(2, content.float));
  if ('floats' in content) return typed(6, ...content.floats.map((n) => float(7, n)));
  if ('tensor' in content) return typed(4, field(5, content.tensor));
  if ('graph' in content) return typed(5, field(6, content.graph));
  if (content.every((item) => typeof item === 'string')) return typed(8, ...content.map((text) => field(9, text)));
  const isFloats = name.endsWith('floats');
  return typed(isFloats ? 6 : 7, ...content.map((n) => (isFloats ? float(7, Number(n)) : field(8, Number(n)))));
}

export function value(name: string, element: number, shape: readonly Dim[]): Buffer {
  const dims = shape.map((dim) => message(1, [typeof dim === 'number' ? field(1, dim) : field(2, dim)]));
  return Buffer.concat([field(1, name), message(2, [message(1, [field(1, element), message(2, dims)])])]);
}

export function floats(name: string, shape: readonly number[], values: ArrayLike<number>): Buffer {
  return raw(name, FLOAT, shape, Buffer.from(Float32Array.from(values).buffer));
}

export function integers(name: string, shape: readonly number[], values: readonly number[]): Buffer {
  return raw(name, INT64, shape, Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer));
}

export function raw(name: string, element: number, shape: readonly number[], bytes: Buffer): Buffer {
  return Buffer.concat([...shape.map((dim) => field(1, dim)), field(2, element), field(8, name), field(9, bytes)]);
}

export function message(number: number, parts: readonly Buffer[]): Buffer {
  return field(number, Buffer.concat(parts));
}

export function field(number: number, content: number | bigint | string | Buffer): Buffer {
  if (typeof content === 'number' || typeof content === 'bigint') {
    return Buffer.concat([varint(BigInt(number) << 3n), varint(BigInt.asUintN(64, BigInt(content)))]);
  }
  const bytes = Buffer.from(content as string);
  return Buffer.concat([varint((BigInt(number) << 3n) | 2n), varint(BigInt(bytes.length)), bytes]);
}

function float(number: number, content: number): Buffer {
  return Buffer.concat([varint((BigInt(number) << 3n) | 5n), Buffer.from(Float32Array.of(content).buffer)]);
}

function varint(rest: bigint): Buffer {
  const bytes: number[] = [];
  for (let left = rest; ; left >>= 7n) {
    if (left < 0x80n) return Buffer.from([...bytes, Number(left)]);
    bytes.push(Number(left & 0x7fn) | 0x80);
  }
}
