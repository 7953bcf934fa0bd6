/**
 * What a model file says of itself beside its signature: the names of its features, where whoever exported it wrote them
 * into `metadata_props` (converters do not by themselves). A bounded walk over the file's outermost fields.
 */

const METADATA = 14;
const MAX_TEXT = 1_000_000;
const KEYS = /^(feature|input|column)s?([_ .-]?(features?|names?|columns?|order))*$/i;

/** Entries of `metadata_props`, numbers from onnx.proto3; empty where there is none. Never throws. */
export function readMetadata(bytes: Uint8Array): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const { number, content } of fieldsOf(bytes)) {
    if (number !== METADATA || content.length > MAX_TEXT) continue;
    const parts = new Map([...fieldsOf(content)].map((field) => [field.number, Buffer.from(field.content).toString()]));
    entries.set(parts.get(1) ?? '', parts.get(2) ?? '');
  }
  return entries;
}

/** The features' names in the model's order, from an entry such as `feature_names`: a JSON array, or a list with commas. */
export function featureNames(bytes: Uint8Array): readonly string[] | null {
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

/** A message's fields; stops at what is no protobuf. `content` is empty but for fields that hold bytes. */
function* fieldsOf(bytes: Uint8Array): Generator<{ readonly number: number; readonly content: Uint8Array }> {
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at);
    if (tag === null) return;
    const length = lengthOf(bytes, tag.next, tag.value % 8);
    if (length === null || length.start + length.size > bytes.length) return;
    at = length.start + length.size;
    yield {
      number: Math.floor(tag.value / 8),
      content: tag.value % 8 === 2 ? bytes.subarray(length.start, at) : new Uint8Array(),
    };
  }
}

function lengthOf(bytes: Uint8Array, at: number, wire: number): { start: number; size: number } | null {
  if (wire === 1) return { start: at, size: 8 };
  if (wire === 5) return { start: at, size: 4 };
  const varint = wire === 0 || wire === 2 ? readVarint(bytes, at) : null;
  return varint && { start: varint.next, size: wire === 2 ? varint.value : 0 };
}

function readVarint(bytes: Uint8Array, start: number): { value: number; next: number } | null {
  let value = 0;
  for (let at = start, unit = 1; at < bytes.length && at < start + 10; at++, unit *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) return { value, next: at + 1 };
  }
  return null;
}
