/**
 * Limits the size of a user's features. Ten megabytes of text in one feature made a worker take 955 MB: a text is in
 * memory as a row, a column, a message to the inference process, and a tensor. A row that is too long is dropped when
 * it arrives: its user cannot be scored, and the others can.
 */
import type { FeatureColumn, FeatureQuery } from '@tandem/freshness/predictor';
import type { ArrivedRow } from '../sql/driver-connection.ts';
import { LEADING_COLUMNS, TRAILING_COLUMNS } from './feature-statement.ts';

const MIB = 1 << 20;
/** The size limit of one user's features. */
export const MAX_ROW_BYTES = MIB;
/** The size limit of all features of a statement: a chunk, or the users of a request. */
export const MAX_BATCH_BYTES = 256 * MIB;

/** Why a user's row was not read. */
export interface RefusedRow {
  readonly why: string;
  /** The feature with the longest value of the row. */
  readonly column: string;
}

/** The dropped rows by user id. */
export type RefusedRows = ReadonlyMap<string, RefusedRow>;

/** Creates the size limits of one statement. */
export function createRowBounds(columns: readonly Pick<FeatureColumn, 'name'>[]) {
  let kept = 0;
  return {
    /** Counts a row's bytes. Returns whether the row may be kept. */
    accept(bytes: number): boolean {
      if (bytes > MAX_ROW_BYTES || kept + bytes > MAX_BATCH_BYTES) return false;
      kept += bytes;
      return true;
    },
    /**
     * Records why a row that was not accepted is dropped.
     * @param sizes the bytes of each feature's value, in the order of the columns
     */
    refuse(bytes: number, sizes: readonly number[]): RefusedRow {
      const widest = sizes.indexOf(Math.max(...sizes));
      const column = columns[widest]?.name ?? '';
      const why = bytes > MAX_ROW_BYTES ? rowText(column, sizes[widest] ?? 0, bytes) : batchText(column);
      return { column, why };
    },
  };
}

/** The positions of the features in the fields of a row. */
export interface RowForm {
  /** Returns the row's bytes, in any encoding. */
  bytesOf(row: ArrivedRow): number;
  /** Returns the bytes of each feature. */
  sizesOf(features: readonly (string | null)[]): number[];
}

/** Rows with one field per feature. */
export const TEXT_FORM: RowForm = {
  bytesOf: ({ length }) => length,
  sizesOf: (features) => features.map((text) => (text === null ? 0 : Buffer.byteLength(text))),
};

/** Drops the features of rows that are too long, as the rows arrive: their fields become null. */
export function boundRows({ columns }: Pick<FeatureQuery, 'columns'>, { bytesOf, sizesOf }: RowForm) {
  const bounds = createRowBounds(columns);
  const refused = new Map<string, RefusedRow>();
  const onRow = (row: ArrivedRow): void => {
    const { fields } = row;
    const [userId] = fields;
    const bytes = bytesOf(row);
    if (userId === null || userId === undefined || bounds.accept(bytes)) return;
    const end = fields.length - TRAILING_COLUMNS;
    refused.set(userId, bounds.refuse(bytes, sizesOf(fields.slice(LEADING_COLUMNS, end))));
    // The context is dropped, too, since an event's value does not make a row shorter.
    fields.fill(null, 2, end);
  };
  return { onRow, refused };
}

function rowText(column: string, bytes: number, rowBytes: number): string {
  return `feature ${column} has ${mib(bytes)}, the row ${mib(rowBytes)}, and a user's row has at most ${mib(MAX_ROW_BYTES)}; shorten the text in the feature query, such as left(${column}, 10000)`;
}

function batchText(column: string): string {
  return `the users that were read together have more than ${mib(MAX_BATCH_BYTES)} of features, and this user has most of its bytes in ${column}; make batch.chunkSize smaller, or shorten the text in the feature query, such as left(${column}, 1000)`;
}

function mib(bytes: number): string {
  return `${Number((bytes / MIB).toPrecision(3))} MiB`;
}
