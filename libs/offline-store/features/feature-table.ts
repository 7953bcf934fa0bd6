/**
 * Features of users as Postgres' binary form brings them, row by row, in columns: a column of numbers is one array of
 * doubles. What it gives is what `decodeBatch` would.
 */

import type { ContextValue, FeatureBatch, FeatureValues } from '@tandem/freshness/features';
import type { FeatureColumn, ModelVersion } from '@tandem/freshness/predictor';
import {
  type BatchMoment,
  checkIds,
  type Decoded,
  type Decoder,
  decoderOf,
  overlayDecoder,
} from './feature-decoding.ts';
import { type Form, formOf, NOT_NATIVE } from './native-values.ts';
import type { RefusedRow } from './row-bounds.ts';

export type FeatureVersion = Pick<ModelVersion, 'query' | 'keyType'>;

export interface FeatureTable {
  /** Begins a user's row. @param context features as JSON; null: none @param asOf ms since 1970 */
  add(userId: string, contextVersion: number, context: string | null, asOf: number | null): void;
  /** A feature of the user added last, in its column's form; of length -1 it is null. */
  take(column: number, bytes: Buffer, at: number, length: number): void;
  /** The features of the user added last were not read. */
  refuse(row: RefusedRow): void;
  /** @param onOverlay told of each value that an event laid over a row's own */
  finish(
    moment: BatchMoment,
    onOverlay?: (row: number, column: number, entry: ContextValue) => void,
  ): Omit<FeatureBatch, 'fromEvents'>;
}

/**
 * @param oids the types of the feature columns in the query's result
 * @param firstRows that there is room for from the beginning
 */
export function createFeatureTable(
  { query, keyType }: FeatureVersion,
  oids: readonly number[],
  firstRows: number,
): FeatureTable {
  const columns = query.columns.map((feature, i) => new Column(feature, oids[i] ?? 0, firstRows));
  const userIds: string[] = [];
  const contextVersions: number[] = [];
  const contexts = new Map<number, { readonly context: string; readonly asOf: number | null }>();
  const refused = new Map<number, RefusedRow>();
  return {
    add(userId, contextVersion, context, asOf) {
      if (context !== null) contexts.set(userIds.length, { context, asOf });
      userIds.push(userId);
      contextVersions.push(contextVersion);
    },
    refuse(why) {
      const row = userIds.length - 1;
      refused.set(row, why);
      contexts.delete(row);
      for (const column of columns) column.replace(row, NOT_READ);
    },
    take: (column, bytes, at, length) => (columns[column] as Column).take(bytes, at, length, userIds.length - 1),
    finish(moment, onOverlay) {
      const overlay = overlayDecoder(query, moment.readAt);
      for (const [row, { context, asOf }] of contexts) {
        overlay(context, asOf, (i, value, entry) => {
          columns[i]?.replace(row, value);
          onOverlay?.(row, i, entry);
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

/** One feature of all users. Numbers lie in one array; whatever else a row has lies apart, and is rare. */
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
    if (!Number.isNaN(value)) {
      if (row >= this.numbers.length) this.grow(row);
      this.numbers[row] = value;
      return;
    }
    this.replace(row, this.decode(length < 0 ? null : this.form.text(bytes, at, length)));
  }

  /** A text, a null, a fault, or what an event says. */
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
