/**
 * Reads the rows of a chunk from COPY's binary format into columns. Doubles, integers and booleans of Postgres are
 * never formatted and parsed as text, and a column of numbers is one array of doubles. With rows of text, a user with
 * twelve features cost 6.4 µs of CPU in this process and 2 µs in Postgres.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { withRequestDefaults } from '@tandem/freshness/request-features';
import type pg from 'pg';
import { copyOut, createRowReader } from '../sql/copy.ts';
import { execute } from '../sql/database.ts';
import { type ChunkPart, chunkCopySql, featureTypesSql, LEADING_COLUMNS } from './feature-statement.ts';
import { createFeatureTable, type FeatureVersion, formOf, readDouble, readInteger } from './feature-table.ts';
import { createRowBounds } from './row-bounds.ts';

const FIRST_ROWS = 8_192;

/**
 * Creates the decoder of the rows of one COPY.
 * @param oids the type OIDs of the feature columns in the query's result
 */
function createFeatureRows(version: FeatureVersion, oids: readonly number[]) {
  const table = createFeatureTable(version, oids, FIRST_ROWS);
  const features = version.query.columns.length;
  const bounds = createRowBounds(version.query.columns);
  let head: [string, number] | null = null;

  /** Reads a row, and returns the offset after it. */
  function takeRow(bytes: Buffer, start: number, isKept: boolean): number {
    const userId = fieldAt(bytes, start);
    const contextVersion = fieldAt(bytes, userId.end);
    const context = fieldAt(bytes, contextVersion.end);
    const asOf = fieldAt(bytes, context.end);
    const text = context.length < 0 ? null : bytes.toString('utf8', context.at, context.end);
    const isHead = userId.length < 0;
    if (isHead) head = JSON.parse(text ?? '') as [string, number];
    else {
      const asOfMs = asOf.length < 0 ? null : readDouble(bytes, asOf.at);
      const version = Number(readInteger(bytes, contextVersion.at, 8));
      table.add(bytes.toString('utf8', userId.at, userId.end), version, text, asOfMs);
    }
    if (!isHead && !isKept) refuse(bytes, asOf.end);
    let at = asOf.end;
    for (let i = 0; i < features; i++) {
      const length = bytes.readInt32BE(at);
      at += 4;
      if (!isHead && isKept) table.take(i, bytes, at, length);
      if (length > 0) at += length;
    }
    return at;
  }

  /**
   * Drops the features of a row that is too long.
   * @param start the offset of the features in the row
   */
  function refuse(bytes: Buffer, start: number): void {
    const sizes: number[] = [];
    for (let i = 0, at = start; i < features; i++) {
      const { length, end } = fieldAt(bytes, at);
      sizes.push(length);
      at = end;
    }
    table.refuse(bounds.refuse(bytes.length, sizes));
  }

  return {
    /** Takes one message of COPY: a row. The last row has [history, clock] instead of a user. */
    take: createRowReader((bytes, at, fields) => {
      if (fields !== LEADING_COLUMNS + features) throw new Error(`COPY gave a row of ${fields} fields`);
      return takeRow(bytes, at, bounds.accept(bytes.length));
    }),
    /** Returns the batch. Throws if the row without a user is missing. */
    finish(): FeatureBatch {
      if (!head) throw new Error('COPY gave no history');
      const [history, readAt] = head;
      return table.finish({ history, readAt });
    },
  };
}

/** Returns the place of a field, and its length, which is -1 for a null. */
function fieldAt(bytes: Buffer, start: number) {
  const length = bytes.readInt32BE(start);
  return { length, at: start + 4, end: start + 4 + Math.max(0, length) };
}

// The features of a chunk, for a key range or named users, are read by a COPY in binary form, which is decoded row by
// row.

/**
 * Reads the features of a chunk. The types are read first. They cannot change before the rows are read, since the
 * transaction locks the relations that it reads. Request features have their defaults, since a chunk has no call.
 * @param db a connection inside a transaction
 */
export async function readChunkRows(
  db: pg.PoolClient,
  version: ModelVersion,
  part: ChunkPart,
  timeoutMs: number,
): Promise<FeatureBatch> {
  const { query } = version;
  const { fields } = await execute(db, { text: featureTypesSql(query), timeoutMs });
  const oids = fields.map((field) => field.dataTypeID);
  const rows = createFeatureRows(version, oids);
  const asText = query.columns.map(({ kind }, i) => formOf(kind, oids[i] ?? 0).asText);
  await copyOut(db, { text: chunkCopySql(version, part, asText), timeoutMs }, rows.take);
  return withRequestDefaults(version, rows.finish());
}
