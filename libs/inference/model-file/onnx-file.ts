/**
 * Checks a model file before ONNX Runtime reads it, by a bounded walk over its protobuf. Rejects files that are not
 * ONNX, tensors in other files (which a loader might read from anywhere), operators of external libraries, and
 * structures that cost far more to load than their size. It reads only the needed fields (numbers from onnx.proto3) and
 * skips the rest. Its time is linear in the file's size.
 */
import { sparseFault, tensorFault } from './onnx-tensor.ts';
import { BYTES, type Field, NotProtobuf, readField, VARINT } from './protobuf.ts';

/**
 * The deepest nesting of graphs (the branches of an If, the body of a Loop). Exporters nest three or four. Older
 * releases of ONNX Runtime need twice the time for each level (minutes at 24), and newer ones do not guarantee less.
 * The limit also keeps the walk shallow, far below the 100 nested messages that protobuf allows.
 */
const MAX_GRAPH_DEPTH = 16;
/**
 * The most nodes. A node takes a kilobyte or more in ONNX Runtime, but two bytes in the file. Large language models
 * have about ten thousand.
 */
const MAX_NODES = 100_000;
/** The most nodes, constants, inputs, outputs and value descriptions of all graphs together. */
const MAX_MEMBERS = 500_000;

/** The beginnings of other files, read as latin1. */
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

type Kind = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'training' | 'external';

/** The fields of each message that contain further messages to check. */
const INSIDE: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: 'graph', 20: 'training' },
  training: { 1: 'graph', 2: 'graph' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'external' },
  external: {},
};
/**
 * Fields that a message may have only once. If a field is repeated, protobuf merges both: the dimensions of two small
 * tensors would become those of one huge tensor.
 */
const ONCE: Readonly<Partial<Record<Kind, readonly number[]>>> = { model: [7], attribute: [5, 6, 22], sparse: [1, 2] };
const NODE_OPERATOR = 4;
const NODE_DOMAIN = 7;
const TENSOR_LOCATION = 14;
const MODEL_IR = 1;
const MODEL_OPSET = 8;
const MODEL_FUNCTION = 25;
/** The counts of a walk so far. */
interface Count {
  graphs: number;
  nodes: number;
  members: number;
  opsets: number;
}

const SIMPLIFY = 'Export a simpler model, or simplify this one (onnxsim, onnxoptimizer).';

class Refused extends Error {
  readonly fault: ModelFault;
  constructor(reason: string, remedy: string | null = null) {
    super(reason);
    this.fault = { reason, remedy };
  }
}

/**
 * Returns why a file may not be loaded as a model; null if it may. Never throws. Its time is linear in the file's size.
 */
export function findFault(bytes: Buffer): ModelFault | null {
  try {
    refuseOtherFormats(bytes);
    const count = { graphs: 0, nodes: 0, members: 0, opsets: 0 };
    walk(bytes, { start: 0, end: bytes.length }, 'model', 0, count);
    if (count.graphs === 0) throw notOnnx('it has no graph');
    if (count.opsets === 0) throw notOnnx('it does not name the opset that it is written for');
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.fault;
    if (error instanceof NotProtobuf) return notOnnx(error.message).fault;
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
  // With this mark, ONNX Runtime would read the file in its own format, which is not checked here.
  if (start.startsWith('ORTM', 4))
    throw notOnnx("it is in ONNX Runtime's own format; give the .onnx file that it was made from");
}

/**
 * Walks over a graph.
 * @param outer the number of graphs around it
 */
function walk(
  bytes: Buffer,
  { start, end }: Pick<Field, 'start' | 'end'>,
  kind: Kind,
  outer: number,
  count: Count,
): void {
  const depth = outer + (kind === 'graph' ? 1 : 0);
  enter(kind, depth, count);
  const once = new Set(ONCE[kind]);
  let operator = '';
  let domain = '';
  for (let at = start; at < end; ) {
    const field = readField(bytes, at, end);
    at = field.end;
    if (kind === 'graph') countMember(count);
    if (kind === 'model') checkModelField(bytes, field, count);
    // In another encoding, a protobuf reader does not read it as this field, so it does not replace an earlier value.
    if (kind === 'node' && field.wire === BYTES && field.number === NODE_OPERATOR) operator = text(bytes, field);
    if (kind === 'node' && field.wire === BYTES && field.number === NODE_DOMAIN) domain = text(bytes, field);
    // Any number except 0 is rejected, since readers handle a number out of range differently.
    if (kind === 'tensor' && field.number === TENSOR_LOCATION && field.value !== 0) throw external();
    const inner = INSIDE[kind][field.number];
    if (inner === 'external') throw external();
    if (inner === undefined) continue;
    if (ONCE[kind]?.includes(field.number) && !once.delete(field.number)) {
      throw notOnnx(`one ${kind} has field ${field.number} twice`);
    }
    if (field.wire !== BYTES) throw notOnnx(`field ${field.number} of a ${kind} is not a message`);
    walk(bytes, field, inner, depth, count);
  }
  if (kind === 'node') refuseForeign(`operator ${JSON.stringify(operator.slice(0, 64))}`, domain);
  if (kind === 'tensor') refuseConstant(tensorFault(bytes, start, end));
  if (kind === 'sparse') refuseConstant(sparseFault(bytes, start, end));
}

/** Checks a field of the model message, outside its graph. */
function checkModelField(bytes: Buffer, field: Field, count: Count): void {
  if (field.number === MODEL_FUNCTION) throw functions();
  if (field.number === MODEL_IR) refuseFault(irFault(field.value));
  if (field.number !== MODEL_OPSET) return;
  count.opsets++;
  refuseFault(opsetFault(bytes, field));
}

function enter(kind: Kind, depth: number, count: Count): void {
  if (kind === 'node' && ++count.nodes > MAX_NODES) throw new Refused(`it has more than ${MAX_NODES} nodes`, SIMPLIFY);
  if (kind !== 'graph') return;
  count.graphs++;
  // The model's own graph is not nested.
  if (depth - 1 > MAX_GRAPH_DEPTH) {
    throw new Refused(`it nests graphs (If, Loop, Scan) more than ${MAX_GRAPH_DEPTH} deep`, SIMPLIFY);
  }
}

function countMember(count: Count): void {
  if (++count.members > MAX_MEMBERS) throw new Refused(`its graphs have more than ${MAX_MEMBERS} members`, SIMPLIFY);
}

function refuseConstant(fault: string | null): void {
  if (fault !== null) throw new Refused(fault, 'Export the model again; the file may be damaged.');
}

function refuseFault(fault: ModelFault | null): void {
  if (fault) throw new Refused(fault.reason, fault.remedy);
}

/**
 * Returns the problem of functions. When they are inlined, functions that call functions can double the nodes at every
 * level.
 */
function functions(): Refused {
  return new Refused(
    'it defines functions, which are expanded without a limit when it is loaded',
    'Inline them: onnx.save(onnx.inliner.inline_local_functions(onnx.load(path)), path).',
  );
}

function text(bytes: Buffer, field: Field): string {
  return bytes.toString('utf8', field.start, Math.min(field.end, field.start + 256));
}

function refuseForeign(who: string, domain: string): void {
  if (isKnownDomain(domain)) return;
  throw new Refused(
    `${who} is of the domain ${JSON.stringify(domain.slice(0, 64))}, and external libraries are never loaded`,
    'Export the model with only the standard operators (domains ai.onnx, ai.onnx.ml, com.microsoft).',
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

// Checks the versions of the ONNX format that the runtime reads, before the model is loaded. The runtime's own error
// for a newer model names neither the version nor the remedy. (Field numbers from onnx.proto3, OperatorSetIdProto.)

/** A problem of a model file, and its remedy. */
export interface ModelFault {
  readonly reason: string;
  readonly remedy: string | null;
}

/** Operator domains that ONNX Runtime 1.30 includes, and their latest version. '' is ai.onnx. */
const LATEST: Readonly<Record<string, number>> = { '': 26, 'ai.onnx': 26, 'ai.onnx.ml': 5, 'com.microsoft': 1 };
const LATEST_IR = 13;

const DOMAIN = 1;
const VERSION = 2;

/** Returns whether ONNX Runtime itself provides a domain's operators. */
function isKnownDomain(domain: string): boolean {
  return Object.hasOwn(LATEST, domain);
}

function irFault(version: number): ModelFault | null {
  if (version <= LATEST_IR) return null;
  return {
    reason: `its format has IR version ${version}, but ONNX Runtime 1.30 reads up to ${LATEST_IR}`,
    remedy: 'Export the model with the onnx package that you trained with, or an older one; the file may be damaged.',
  };
}

/** Returns the problem of one entry of a model's opset imports, or null. Throws NotProtobuf. */
function opsetFault(bytes: Buffer, entry: Pick<Field, 'start' | 'end'>): ModelFault | null {
  let domain = '';
  let version = 0;
  for (let at = entry.start; at < entry.end; ) {
    const field = readField(bytes, at, entry.end);
    at = field.end;
    if (field.number === DOMAIN && field.wire === BYTES)
      domain = bytes.toString('utf8', field.start, Math.min(field.end, field.start + 64));
    if (field.number === VERSION && field.wire === VARINT) version = field.value;
  }
  // An external domain matters only if an operator belongs to it. The walk rejects such an operator by name.
  const latest = isKnownDomain(domain) ? (LATEST[domain] ?? 0) : Number.POSITIVE_INFINITY;
  if (version > 0 && version <= latest) return null;
  const range = latest === 1 ? '1' : Number.isFinite(latest) ? `1 to ${latest}` : '1 and later';
  return {
    reason: `it is written for opset ${version} of ${domain || 'ai.onnx'}, but ONNX Runtime 1.30 reads ${range}`,
    remedy: `Export it for an older opset: torch.onnx.export(…, opset_version=17), to_onnx(…, target_opset={'': 17, 'ai.onnx.ml': 3}).`,
  };
}
