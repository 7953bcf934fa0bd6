/**
 * The rows of a live read with a user's features packed into one column, as Postgres' record_send writes them: the
 * number of fields (int32), then of each its type (uint32), its length (int32; -1: null) and its binary form. With 25
 * users and twelve doubles, a user cost 11.9 µs of CPU here as texts and 8.6 packed; in Postgres, with the shorter
 * certificate, 14.3 and 12.0.
 *
 * The reader must know the columns' types before, since numeric and similar types are read as text. Each value carries
 * its type. If that differs from the expected one (an altered table, a column of a domain), nothing is guessed.
 */
import type { FeatureBatch } from '@tandem/freshness/features';
import { type BatchMoment, createLaidValues, type RawRow } from './feature-decoding.ts';
import { LEADING_COLUMNS } from './feature-statement.ts';
import { createFeatureTable, type FeatureVersion, formOf } from './feature-table.ts';
import type { RefusedRows, RowForm } from './row-bounds.ts';

/** Whether the features of a query with these column types can be read packed. */
export function isPackable({ query }: Pick<FeatureVersion, 'query'>, oids: readonly number[]): boolean {
  return query.columns.every(({ kind }, i) => !formOf(kind, oids[i] ?? 0).asText);
}

/** The batch of packed rows, or undefined if a value is not of the type, or in the form, that was expected. */
export function unpackRows(
  version: FeatureVersion,
  rows: readonly RawRow[],
  oids: readonly number[],
  moment: BatchMoment,
  refused: RefusedRows,
): FeatureBatch | undefined {
  const table = createFeatureTable(version, oids, rows.length);
  const bytesOf = createHexReader();
  for (const row of rows) {
    const asOf = row[3] === null || row[3] === undefined ? null : Number(row[3]);
    table.add(row[0] ?? '', Number(row[1] ?? 0), row[2] ?? null, asOf);
    const dropped = refused.get(row[0] ?? '');
    if (dropped) {
      table.refuse(dropped);
      continue;
    }
    const bytes = bytesOf(row[LEADING_COLUMNS] ?? '');
    if (!bytes) return undefined;
    let at = FIELDS_BYTES;
    for (let i = 0; i < oids.length; i++) {
      if (bytes.readUInt32BE(at) !== oids[i]) return undefined;
      const length = bytes.readInt32BE(at + 4);
      table.take(i, bytes, at + 8, length);
      at += 8 + Math.max(0, length);
    }
  }
  const laid = createLaidValues();
  return { ...table.finish(moment, laid.note), fromEvents: laid.byRow };
}

const FIELDS_BYTES = 4;
const HEX = '\\x';

/**
 * Creates a decoder of a bytea in Postgres' hex form, whose result is valid until the next call; undefined if a setting
 * changes that form.
 */
function createHexReader(): (text: string) => Buffer | undefined {
  let scratch = Buffer.alloc(0);
  return (text) => {
    if (!text.startsWith(HEX)) return undefined;
    // Rows of a version are about as long as each other: room for one and a half serves them all.
    if (text.length > 2 * scratch.length) scratch = Buffer.allocUnsafe(text.length);
    scratch.write(text.slice(HEX.length), 'hex');
    return scratch;
  };
}

/** A field of all features, two digits a byte. */
export const PACKED_FORM: RowForm = {
  bytesOf: ({ length, fields }) => length - (fields[LEADING_COLUMNS]?.length ?? 0) / 2,
  sizesOf: ([packed]) => packedSizes(packed ?? ''),
};

/** Reads the length of each value without unpacking it. */
function packedSizes(packed: string): number[] {
  const sizes: number[] = [];
  const integerAt = (byte: number) =>
    Number.parseInt(packed.slice(HEX.length + 2 * byte, HEX.length + 2 * byte + 8), 16) | 0;
  for (let at = FIELDS_BYTES, left = integerAt(0); left > 0; left--) {
    const length = Math.max(0, integerAt(at + 4));
    sizes.push(length);
    at += 8 + length;
  }
  return sizes;
}
