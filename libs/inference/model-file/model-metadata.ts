/**
 * What a model file says of itself beside its signature: the names of its features, where whoever exported it wrote them
 * into `metadata_props` (converters do not by themselves). A bounded walk over the file's outermost fields.
 */
import { NotProtobuf, readField } from './protobuf.ts';

const METADATA = 14;
const MAX_TEXT = 1_000_000;
const KEYS = /^(feature|input|column)s?([_ .-]?(features?|names?|columns?|order))*$/i;

/** Entries of `metadata_props`, numbers from onnx.proto3; empty where there is none. Never throws. */
export function readMetadata(bytes: Buffer): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const { number, content } of fieldsOf(bytes)) {
    if (number !== METADATA || content.length > MAX_TEXT) continue;
    const parts = new Map([...fieldsOf(content)].map((field) => [field.number, field.content.toString()]));
    entries.set(parts.get(1) ?? '', parts.get(2) ?? '');
  }
  return entries;
}

/** The features' names in the model's order, from an entry such as `feature_names`: a JSON array, or a list with commas. */
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

/** A message's fields; stops at what is no protobuf. */
function* fieldsOf(bytes: Buffer): Generator<{ readonly number: number; readonly content: Buffer }> {
  try {
    for (let at = 0; at < bytes.length; ) {
      const field = readField(bytes, at, bytes.length);
      at = field.end;
      yield { number: field.number, content: bytes.subarray(field.start, field.end) };
    }
  } catch (error) {
    if (!(error instanceof NotProtobuf)) throw error;
  }
}
