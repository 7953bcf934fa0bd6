/**
 * Collects features in columns, from rows in Postgres' binary form or as texts. A column of numbers is one array of
 * doubles.
 */
import type { ContextValue, FeatureBatch, FeatureValues } from '@tandem/freshness/features';
import type { FeatureColumn, FeatureKind, ModelVersion } from '@tandem/freshness/predictor';
import {
  type BatchMoment,
  checkIds,
  type Decoded,
  type Decoder,
  decoderOf,
  overlayDecoder,
} from './feature-decoding.ts';
import type { RefusedRow } from './row-bounds.ts';

export type FeatureVersion = Pick<ModelVersion, 'query' | 'keyType'>;

/**
 * Creates an empty table.
 * @param oids the type OIDs of the feature columns in the query's result
 * @param firstRows the initial capacity in rows
 */
export function createFeatureTable({ query, keyType }: FeatureVersion, oids: readonly number[], firstRows: number) {
  const columns = query.columns.map((feature, i) => new Column(feature, oids[i] ?? 0, firstRows));
  const userIds: string[] = [];
  const contextVersions: number[] = [];
  const contexts = new Map<number, { readonly context: string; readonly asOf: number | null }>();
  const refused = new Map<number, RefusedRow>();
  return {
    /**
     * Begins a user's row.
     * @param context features as JSON; null: none
     * @param asOf ms since 1970
     */
    add(userId: string, contextVersion: number, context: string | null, asOf: number | null): void {
      if (context !== null) contexts.set(userIds.length, { context, asOf });
      userIds.push(userId);
      contextVersions.push(contextVersion);
    },
    /** Records that the features of the last added user were not read. */
    refuse(why: RefusedRow): void {
      const row = userIds.length - 1;
      refused.set(row, why);
      contexts.delete(row);
      for (const column of columns) column.replace(row, NOT_READ);
    },
    /** Adds a feature of the last added user, in its column's form. A length of -1 means null. */
    take: (column: number, bytes: Buffer, at: number, length: number): void =>
      (columns[column] as Column).take(bytes, at, length, userIds.length - 1),
    /** Adds a feature of the last added user, as Postgres' text. */
    takeText: (column: number, raw: string | null): void =>
      (columns[column] as Column).takeText(raw, userIds.length - 1),
    /**
     * Returns the batch.
     * @param onOverlay called for each value of an event that overrides the row's own
     */
    finish(
      moment: BatchMoment,
      onOverlay?: (row: number, column: number, entry: ContextValue, own: Decoded) => void,
    ): Omit<FeatureBatch, 'fromEvents'> {
      const overlay = overlayDecoder(query, moment.readAt);
      for (const [row, { context, asOf }] of contexts) {
        overlay(context, asOf, (i, value, entry) => {
          const column = columns[i] as Column;
          onOverlay?.(row, i, entry, column.at(row));
          column.replace(row, value);
        });
      }
      const faults = new Map<number, string>();
      const unusable = new Map<number, string[]>();
      const fault = (row: number, why: string) => {
        if (!faults.has(row)) faults.set(row, why);
      };
      for (const [row, { why, column }] of refused) {
        fault(row, why);
        unusable.set(row, [column]);
      }
      checkIds({ keyType }, userIds, fault);
      const values = columns.map((column, i) =>
        column.finish(userIds.length, (row, why) => {
          fault(row, why);
          unusable.set(row, [...(unusable.get(row) ?? []), query.columns[i]?.name ?? '']);
        }),
      );
      return { ...moment, userIds, contextVersions, columns: query.columns, values, faults, unusable };
    },
  };
}

const NOT_READ: Decoded = { value: null };

/** One feature of all users. Numbers are in one array. Other values are rare and kept separately. */
class Column {
  private readonly form: Form;
  private readonly decode: Decoder;
  private numbers: Float64Array;
  private readonly texts: (string | null)[] | null;
  private readonly others = new Map<number, Decoded>();

  constructor(feature: FeatureColumn, oid: number, firstRows: number) {
    this.numbers = new Float64Array(firstRows);
    this.form = formOf(feature.kind, oid);
    this.decode = decoderOf(feature, oid);
    this.texts = feature.kind === 'string' ? [] : null;
  }

  take(bytes: Buffer, at: number, length: number, row: number): void {
    const value = length < 0 ? NOT_NATIVE : this.form.read(bytes, at, length);
    if (Number.isNaN(value)) this.replace(row, this.decode(length < 0 ? null : this.form.text(bytes, at, length)));
    else this.put(row, value);
  }

  takeText(raw: string | null, row: number): void {
    const decoded = this.decode(raw);
    if (typeof decoded.value === 'number') this.put(row, decoded.value);
    else this.replace(row, decoded);
  }

  at(row: number): Decoded {
    return this.others.get(row) ?? { value: (this.texts ?? this.numbers)[row] ?? null };
  }

  private put(row: number, value: number): void {
    if (row >= this.numbers.length) this.grow(row);
    this.numbers[row] = value;
  }

  /** Sets a value that is not a plain number: a text, a null, a fault, or an event's value. */
  replace(row: number, decoded: Decoded): void {
    if (this.texts && decoded.fault === undefined) {
      this.texts[row] = decoded.value as string | null;
      this.others.delete(row);
    } else this.others.set(row, decoded);
  }

  finish(rows: number, fault: (row: number, why: string) => void): FeatureValues {
    const { texts, others, numbers } = this;
    if (!texts && rows > numbers.length) this.grow(rows);
    const values = texts ?? this.numbers.subarray(0, rows);
    if (others.size === 0) return values;
    const mixed: (number | string | null)[] = [...values];
    for (const [row, decoded] of others) {
      mixed[row] = decoded.value;
      if (decoded.fault !== undefined) fault(row, decoded.fault);
    }
    return mixed;
  }

  private grow(row: number): void {
    const larger = new Float64Array(Math.max(row + 1, this.numbers.length * 2));
    larger.set(this.numbers);
    this.numbers = larger;
  }
}

// Values of feature columns are decoded from Postgres' binary form, which is big-endian. Faults contain them as text.

/** The form in which the values of a column are sent and decoded. */
interface Form {
  /** Whether the query returns them as text, since Tandem does not decode their binary form (numeric, float4). */
  readonly asText: boolean;
  /** Returns the value as a number, or `NOT_NATIVE` if a double cannot hold it unchanged; `text` then returns it. */
  read(bytes: Buffer, at: number, length: number): number;
  /** Returns the text in Postgres' spelling. */
  text(bytes: Buffer, at: number, length: number): string;
}

const NOT_NATIVE = Number.NaN;

const DOUBLE_OID = 701;
const BOOLEAN_OID = 16;
const INTEGER_BYTES: Readonly<Record<number, 2 | 4 | 8>> = { 20: 8, 21: 2, 23: 4 };
/** name, text, char(n) and varchar, whose binary form is their text. */
const TEXT_OIDS = new Set([19, 25, 1042, 1043]);

/**
 * Returns the form in which the values of a column are sent and decoded.
 * @param oid the OID of the column's type in the feature query
 */
export function formOf(kind: FeatureKind, oid: number): Form {
  if (kind === 'string' && TEXT_OIDS.has(oid)) return OWN_TEXT;
  if (kind === 'boolean' && oid === BOOLEAN_OID) return BOOLEAN;
  if (kind === 'number' && oid === DOUBLE_OID) return DOUBLE;
  const isNumeric = kind === 'number' || kind === 'integer';
  return (isNumeric && INTEGERS[INTEGER_BYTES[oid] ?? 0]) || CAST_TO_TEXT;
}

const utf8 = (bytes: Buffer, at: number, length: number) => bytes.toString('utf8', at, at + length);

const OWN_TEXT: Form = { asText: false, read: () => NOT_NATIVE, text: utf8 };
const CAST_TO_TEXT: Form = { asText: true, read: () => NOT_NATIVE, text: utf8 };

const DOUBLE: Form = {
  asText: false,
  read(bytes, at) {
    const value = readDouble(bytes, at);
    return Number.isFinite(value) ? value : NOT_NATIVE;
  },
  text: (bytes, at) => String(readDouble(bytes, at)),
};

const BOOLEAN: Form = {
  asText: false,
  read: (bytes, at) => (bytes[at] === 0 ? 0 : 1),
  text: (bytes, at) => (bytes[at] === 0 ? 'f' : 't'),
};

const INTEGERS: Readonly<Record<number, Form>> = { 2: integer(2), 4: integer(4), 8: integer(8) };

function integer(size: 2 | 4 | 8): Form {
  return {
    asText: false,
    read(bytes, at) {
      const value = Number(readInteger(bytes, at, size));
      return Number.isSafeInteger(value) ? value : NOT_NATIVE;
    },
    text: (bytes, at) => String(readInteger(bytes, at, size)),
  };
}

/** Returns an int2, int4 or int8; a bigint if a double may not hold it exactly. */
export function readInteger(bytes: Buffer, at: number, size: 2 | 4 | 8): number | bigint {
  if (size === 2) return bytes.readInt16BE(at);
  const high = bytes.readInt32BE(at);
  if (size === 4) return high;
  // 2^20: above it a value is 2^52 or more.
  return high >= -0x10_0000 && high < 0x10_0000
    ? high * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
    : bytes.readBigInt64BE(at);
}

const double = new Float64Array(1);
const halves = new Uint32Array(double.buffer);
/** The index of a double's higher half: 1 on a little-endian machine, such as all that Node supports. */
const HIGH = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;

/** Returns a double twice as fast as `readDoubleBE`, which reads byte by byte. */
export function readDouble(bytes: Buffer, at: number): number {
  halves[HIGH] =
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number);
  halves[1 - HIGH] =
    ((bytes[at + 4] as number) << 24) |
    ((bytes[at + 5] as number) << 16) |
    ((bytes[at + 6] as number) << 8) |
    (bytes[at + 7] as number);
  return double[0] as number;
}
