/**
 * Looks at a model file before ONNX Runtime does: a bounded walk over its protobuf that refuses what is no ONNX file,
 * tensors that are kept in other files (which a loader might read from anywhere), and operators of foreign libraries.
 * It reads only the fields that it needs (numbers from onnx.proto3) and skips the rest in constant time.
 */

export interface ModelFault {
  readonly reason: string;
  readonly remedy: string | null;
}

const DOMAINS = new Set(['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft']);
/** Protobuf's own limit is 100 messages deep, a graph nested in a node costs three. */
const MAX_DEPTH = 100;

/** How other files begin, read as latin1. */
const OTHER_STARTS: readonly (readonly [start: string, what: string])[] = [
  ['version https://git-lfs', 'a Git LFS pointer; run `git lfs pull`'],
  ['PK\x03\x04', 'a zip archive (a PyTorch or Keras model, perhaps)'],
  ['\x1f\x8b', 'a gzip file; decompress it'],
  ['\x80\x02', 'a Python pickle, which is never read'],
  ['\x80\x03', 'a Python pickle, which is never read'],
  ['\x80\x04', 'a Python pickle, which is never read'],
  ['\x80\x05', 'a Python pickle, which is never read'],
  ['\x89HDF', 'an HDF5 file (a Keras model, perhaps)'],
  ['{', 'JSON'],
];
const WEB_PAGE = /^\s*<(!doctype|html|\?xml)/i;

type Kind = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'function' | 'training' | 'external';

/** Which fields of a message hold messages that are walked. */
const INSIDE: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'external' },
  external: {},
};
const NODE_OPERATOR = 4;
const NODE_DOMAIN = 7;
const FUNCTION_DOMAIN = 10;
const TENSOR_LOCATION = 14;
const MODEL_GRAPH = 7;

class Refused extends Error {
  readonly fault: ModelFault;
  constructor(reason: string, remedy: string | null = null) {
    super(reason);
    this.fault = { reason, remedy };
  }
}

/** Why the bytes are not a model that may be loaded, or null. Never throws; its time is linear in the file's size. */
export function findFault(bytes: Buffer): ModelFault | null {
  try {
    refuseOtherFormats(bytes);
    if (!walk(bytes, 0, bytes.length, 'model', 0)) throw notOnnx('it has no graph');
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.fault;
    throw error;
  }
}

function refuseOtherFormats(bytes: Buffer): void {
  if (bytes.length === 0) throw new Refused('the file is empty', 'Export the model again.');
  const start = bytes.toString('latin1', 0, 64);
  if (WEB_PAGE.test(start)) throw notOnnx('it is a web page (a failed download, perhaps)');
  const other = OTHER_STARTS.find(([prefix]) => start.startsWith(prefix));
  if (other) throw notOnnx(`it is ${other[1]}`);
  if (start.startsWith('TFL3', 4)) throw notOnnx('it is a TensorFlow Lite model');
}

/** Walks a message; returns whether a model has a graph. */
function walk(bytes: Buffer, start: number, end: number, kind: Kind, depth: number): boolean {
  if (depth > MAX_DEPTH) throw new Refused(`its graph is nested more than ${MAX_DEPTH} messages deep`);
  let found = false;
  let operator = '';
  let domain = '';
  for (let at = start; at < end; ) {
    const field = readField(bytes, at, end);
    at = field.next;
    if (kind === 'model' && field.number === MODEL_GRAPH) found = true;
    if (kind === 'node' && field.number === NODE_OPERATOR) operator = text(bytes, field);
    if (kind === 'node' && field.number === NODE_DOMAIN) domain = text(bytes, field);
    if (kind === 'function' && field.number === FUNCTION_DOMAIN) refuseForeign('its functions', text(bytes, field));
    if (kind === 'tensor' && field.number === TENSOR_LOCATION && field.value === 1) throw external();
    const inner = INSIDE[kind][field.number];
    if (inner === 'external') throw external();
    if (inner === undefined) continue;
    if (field.wire !== 2) throw notOnnx(`field ${field.number} of a ${kind} is no message`);
    walk(bytes, field.start, field.end, inner, depth + 1);
  }
  if (kind === 'node') refuseForeign(`operator ${operator.slice(0, 64)}`, domain);
  return found;
}

interface Field {
  readonly number: number;
  readonly wire: number;
  /** Of a varint, as far as a double holds it. */
  readonly value: number;
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

function readField(bytes: Buffer, at: number, end: number): Field {
  const tag = readVarint(bytes, at, end);
  const number = Math.floor(tag.value / 8);
  const wire = tag.value % 8;
  if (number === 0) throw notOnnx('it is not protobuf');
  const field = (start: number, length: number, value = 0): Field => {
    if (length > end - start) throw notOnnx('it ends in the middle of a field (truncated, perhaps)');
    return { number, wire, value, start, end: start + length, next: start + length };
  };
  switch (wire) {
    case 0: {
      const varint = readVarint(bytes, tag.next, end);
      return field(varint.next, 0, varint.value);
    }
    case 1:
      return field(tag.next, 8);
    case 2: {
      const length = readVarint(bytes, tag.next, end);
      return field(length.next, length.value);
    }
    case 5:
      return field(tag.next, 4);
    default:
      throw notOnnx('it is not protobuf');
  }
}

function readVarint(bytes: Buffer, start: number, end: number): { value: number; next: number } {
  let value = 0;
  let unit = 1;
  for (let at = start; at < end && at < start + 10; at++, unit *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) return { value, next: at + 1 };
  }
  throw notOnnx('it ends in the middle of a field (truncated, perhaps)');
}

function text(bytes: Buffer, field: Field): string {
  return bytes.toString('utf8', field.start, Math.min(field.end, field.start + 256));
}

function refuseForeign(who: string, domain: string): void {
  if (DOMAINS.has(domain)) return;
  throw new Refused(
    `${who} is of the domain ${JSON.stringify(domain.slice(0, 64))}, whose library is never loaded`,
    'Export the model with the standard operators (domains ai.onnx, ai.onnx.ml, com.microsoft) alone.',
  );
}

function external(): Refused {
  return new Refused(
    'it keeps weights in another file (external data), which is never opened',
    'Save it as one file: onnx.save(onnx.load(path), path, save_as_external_data=False).',
  );
}

function notOnnx(why: string): Refused {
  return new Refused(`the file is not an ONNX model: ${why}`, 'Export the model again, as a single .onnx file.');
}
