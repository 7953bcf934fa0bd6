/**
 * Reads the origin of a model file: format, operator versions, the program that wrote it. It is a bounded walk over the
 * outermost fields (numbers from onnx.proto3) of a file that onnx-file.ts has accepted.
 */
import type { ModelMetadata } from '@tandem/prediction/models/verification';
import { BYTES, type Field, NotProtobuf, readField, VARINT } from './protobuf.ts';

const IR_VERSION = 1;
const PRODUCER_NAME = 2;
const PRODUCER_VERSION = 3;
const OPSET = 8;
const OPSET_DOMAIN = 1;
const OPSET_VERSION = 2;
/** The longest name, since the file is not trusted. */
const MAX_TEXT = 64;
/** The most domains, which are kept in memory, since the file is not trusted. */
const MAX_DOMAINS = 16;

/** Returns the facts about a model file. Never throws: for a damaged file, it returns the facts before the damage. */
export function readFacts(bytes: Buffer): Pick<ModelMetadata, 'opset' | 'irVersion' | 'producer'> {
  const opset = new Map<string, number>();
  const producer = { name: '', version: '' };
  let irVersion = 0;
  for (const field of fieldsOf(bytes)) {
    if (field.number === IR_VERSION && field.wire === VARINT) irVersion = field.value;
    if (field.wire !== BYTES) continue;
    if (field.number === PRODUCER_NAME) producer.name = textOf(bytes, field);
    if (field.number === PRODUCER_VERSION) producer.version = textOf(bytes, field);
    if (field.number === OPSET && opset.size < MAX_DOMAINS) opset.set(...readOpset(bytes, field));
  }
  return { irVersion, opset: Object.fromEntries(opset), producer: `${producer.name} ${producer.version}`.trim() };
}

function readOpset(bytes: Buffer, { start, end }: Field): [domain: string, version: number] {
  let domain = '';
  let version = 0;
  for (const field of fieldsOf(bytes, start, end)) {
    if (field.number === OPSET_DOMAIN && field.wire === BYTES) domain = textOf(bytes, field);
    if (field.number === OPSET_VERSION && field.wire === VARINT) version = field.value;
  }
  return [domain || 'ai.onnx', version];
}

/** Removes characters that control a terminal or that JSON in the database cannot contain. */
function textOf(bytes: Buffer, { start, end }: Field): string {
  const text = bytes.toString('utf8', start, Math.min(end, start + MAX_TEXT));
  return text.replace(/\p{C}/gu, '');
}

/** Reads the fields of a message, and stops at bytes that are not protobuf. */
function* fieldsOf(bytes: Buffer, start = 0, end = bytes.length): Generator<Field> {
  try {
    for (let at = start; at < end; ) {
      const field = readField(bytes, at, end);
      at = field.end;
      yield field;
    }
  } catch (error) {
    if (!(error instanceof NotProtobuf)) throw error;
  }
}

// Reads the names of a model's features, if the exporter wrote them into `metadata_props`. Converters do not. It is a
// bounded walk over the file's outermost fields.

const METADATA = 14;
const MAX_METADATA_BYTES = 1_000_000;
const KEYS = /^(feature|input|column)s?([_ .-]?(features?|names?|columns?|order))*$/i;

/** Returns the entries of `metadata_props` (numbers from onnx.proto3); empty if there are none. Never throws. */
export function readMetadata(bytes: Buffer): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const { number, start, end } of fieldsOf(bytes)) {
    if (number !== METADATA || end - start > MAX_METADATA_BYTES) continue;
    const parts = new Map(
      [...fieldsOf(bytes, start, end)].map((field) => [field.number, bytes.toString('utf8', field.start, field.end)]),
    );
    entries.set(parts.get(1) ?? '', parts.get(2) ?? '');
  }
  return entries;
}

/**
 * Returns the names of features in the model's order, from an entry such as `feature_names`: a JSON array, or a list
 * with commas.
 */
export function featureNames(bytes: Buffer): readonly string[] | null {
  for (const [key, value] of readMetadata(bytes)) {
    if (!KEYS.test(key)) continue;
    const names = parseNames(value);
    if (names.length > 0 && names.every((name) => name !== '')) return names;
  }
  return null;
}

function parseNames(text: string): readonly string[] {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) && parsed.every((name) => typeof name === 'string') ? parsed : [];
  } catch {
    return text.split(',').map((name) => name.trim());
  }
}
