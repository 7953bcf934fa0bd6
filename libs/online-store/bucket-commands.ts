/**
 * A window of rows as HSETs in Redis' own protocol, one for each bucket that has rows in it. Written by hand into
 * buffers: as arrays of arguments for ioredis' commands a row cost 5.5 µs of CPU, this way it is one, and the socket's.
 */
import { bucketOf, fieldOf, hashOf } from './keys.ts';
import { generationValueLength, type LoadableRow, writeGenerationValue } from './stored-value.ts';

export interface BucketRow extends LoadableRow {
  readonly userId: string;
}

export interface BucketWindow {
  /** What the keys of the generation's buckets begin with; the bucket's number follows. */
  readonly keyPrefix: string;
  readonly buckets: number;
  /** ms since 1970. */
  readonly startedAt: number;
}

/** Some of the commands, in one buffer. */
export interface BucketCommands {
  readonly bytes: Buffer;
  /** One HSET each, at least one. */
  readonly commands: number;
}

export interface BucketLoad {
  /** Written when they are asked for, one batch after the other. */
  readonly batches: Iterable<BucketCommands>;
  /** Rows that the layout cannot tell: they stay in Postgres alone. */
  readonly skipped: number;
}

/** Rows of a window at most: a bucket and a row's place in the window have to fit into one double. */
export const MAX_WINDOW_ROWS = 1 << 20;

const CR = 13;
const LF = 10;
const ZERO = 48;
const ASTERISK = 42;
const DOLLAR = 36;
/** Around the key of a command, with the bucket's number; around field and value, with the longest field. */
const HEAD_BYTES = 48;
const ROW_BYTES = 40;
const HSET = Buffer.from('$4\r\nhset\r\n');

/**
 * @param rows at most `MAX_WINDOW_ROWS`
 * @param batchRows a batch ends with the bucket in which it has so many rows
 */
export function bucketCommands(window: BucketWindow, rows: readonly BucketRow[], batchRows: number): BucketLoad {
  const { keyPrefix, buckets, startedAt } = window;
  const hashes = new Uint32Array(rows.length);
  const lengths = new Uint32Array(rows.length);
  // Of each row its bucket and its place, so that sorting numbers brings the rows of a bucket together.
  const order = new Float64Array(rows.length);
  let kept = 0;
  for (let place = 0; place < rows.length; place++) {
    const row = rows[place] as BucketRow;
    const length = generationValueLength(row, startedAt);
    if (length === 0) continue;
    const hash = hashOf(row.userId);
    hashes[place] = hash;
    lengths[place] = length;
    order[kept++] = bucketOf(hash, buckets) * MAX_WINDOW_ROWS + place;
  }
  const prefix = Buffer.from(keyPrefix);
  const source = { prefix, startedAt, hashes, lengths, rows, order: order.subarray(0, kept).sort() };
  return { batches: writeBatches(source, batchRows), skipped: rows.length - kept };
}

interface Source {
  readonly prefix: Buffer;
  readonly startedAt: number;
  /** Of each row by its place, as are the lengths of the values. */
  readonly hashes: Uint32Array;
  readonly lengths: Uint32Array;
  readonly rows: readonly BucketRow[];
  readonly order: Float64Array;
}

interface Target extends Source {
  readonly bytes: Buffer;
}

function* writeBatches(source: Source, batchRows: number): Generator<BucketCommands> {
  const { order } = source;
  for (let first = 0; first < order.length; ) {
    const last = endOfBucket(order, Math.min(first + batchRows, order.length) - 1);
    const bytes = Buffer.allocUnsafe(sizeOf(source, first, last));
    const { end, commands } = writeAll({ ...source, bytes }, first, last);
    yield { bytes: bytes.subarray(0, end), commands };
    first = last;
  }
}

/** Where the rows of the bucket end to which the row at `at` belongs. */
function endOfBucket(order: Float64Array, at: number): number {
  const behind = (Math.floor((order[at] as number) / MAX_WINDOW_ROWS) + 1) * MAX_WINDOW_ROWS;
  let end = at + 1;
  while (end < order.length && (order[end] as number) < behind) end++;
  return end;
}

/** At most so many bytes. */
function sizeOf({ order, lengths, prefix }: Source, first: number, last: number): number {
  let size = (last - first) * (HEAD_BYTES + prefix.length + ROW_BYTES);
  for (let i = first; i < last; i++) size += lengths[(order[i] as number) % MAX_WINDOW_ROWS] as number;
  return size;
}

function writeAll(target: Target, start: number, stop: number): { end: number; commands: number } {
  const { order } = target;
  let at = 0;
  let commands = 0;
  for (let first = start; first < stop; commands++) {
    const bucket = Math.floor((order[first] as number) / MAX_WINDOW_ROWS);
    const last = endOfBucket(order, first);
    at = writeHead(target, at, bucket, last - first);
    for (; first < last; first++) at = writeRow(target, at, (order[first] as number) - bucket * MAX_WINDOW_ROWS);
  }
  return { end: at, commands };
}

/** `*<arguments> hset <key>`. */
function writeHead({ bytes, prefix }: Target, start: number, bucket: number, rows: number): number {
  let at = writeLength(bytes, start, ASTERISK, 2 + 2 * rows);
  at = writeBytes(bytes, at, HSET);
  at = writeLength(bytes, at, DOLLAR, prefix.length + digitsOf(bucket));
  at = writeBytes(bytes, at, prefix);
  return writeEnd(bytes, writeDigits(bytes, at, bucket));
}

/** `<field> <value>`. */
function writeRow({ bytes, rows, hashes, lengths, startedAt }: Target, start: number, place: number): number {
  const row = rows[place] as BucketRow;
  const field = fieldOf(row.userId);
  // As many bytes as characters, unless one of them is beyond ASCII.
  let at = writeLength(bytes, start, DOLLAR, field.length);
  const fieldAt = at;
  for (let i = 0; i < field.length; i++) {
    const code = field.charCodeAt(i);
    if (code > 0x7f) {
      at = writeLength(bytes, start, DOLLAR, Buffer.byteLength(field));
      at += bytes.write(field, at);
      break;
    }
    bytes[fieldAt + i] = code;
    at++;
  }
  at = writeEnd(bytes, at);
  at = writeLength(bytes, at, DOLLAR, lengths[place] as number);
  return writeEnd(bytes, writeGenerationValue(bytes, at, row, startedAt, hashes[place] as number));
}

function writeLength(bytes: Buffer, at: number, sign: number, length: number): number {
  bytes[at] = sign;
  return writeEnd(bytes, writeDigits(bytes, at + 1, length));
}

function writeEnd(bytes: Buffer, at: number): number {
  bytes[at] = CR;
  bytes[at + 1] = LF;
  return at + 2;
}

/** By hand: for so few bytes a call of Buffer.copy takes longer. */
function writeBytes(bytes: Buffer, at: number, source: Buffer): number {
  for (let i = 0; i < source.length; i++) bytes[at + i] = source[i] as number;
  return at + source.length;
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  return digits;
}

function writeDigits(bytes: Buffer, at: number, value: number): number {
  const end = at + digitsOf(value);
  let rest = value;
  for (let i = end - 1; i >= at; i--) {
    const tens = Math.floor(rest / 10);
    bytes[i] = ZERO + rest - tens * 10;
    rest = tens;
  }
  return end;
}
