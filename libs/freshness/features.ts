/**
 * Features of many users in columns, with the context version that was read in the same row of the same statement. That
 * version labels each prediction computed from them. The label is true because one statement read both.
 */
import type { FeatureColumn, FeatureQuery } from './predictor.ts';
import type { RequestFeatures } from './read-options.ts';

/**
 * One column: numbers, integers and booleans as doubles (booleans 0 and 1), text as strings, and null for an SQL null.
 * For thousands of users, a column that holds only numbers is an array of doubles.
 */
export type FeatureValues = readonly (number | string | null)[] | Float64Array;

export interface FeatureBatch {
  /** The history that the context versions belong to. */
  readonly history: string;
  /** Postgres' clock at the statement that read the features, in ms since 1970: the predictions' `computedAt`. */
  readonly readAt: number;
  readonly userIds: readonly string[];
  readonly contextVersions: readonly number[];
  readonly columns: readonly FeatureColumn[];
  /** The values of each column, one per user; in the order of `columns`. */
  readonly values: readonly FeatureValues[];
  /**
   * Users that cannot be scored: row number → reason. The reason contains values, so only callers that may read
   * features see it.
   */
  readonly faults: ReadonlyMap<number, string>;
  /** For faulty rows: row number → names of the features that cannot be passed to a model. */
  readonly unusable: ReadonlyMap<number, readonly string[]>;
  /** Row number → the event values that overlay the row's own values. For live reads only; absent: unknown. */
  readonly fromEvents?: ReadonlyMap<number, readonly LaidValue[]>;
  /** The index of the first request feature among the columns; absent if there is none. */
  readonly requestFrom?: number;
  /** Row number → the request features that its call sent. A row without an entry has the declared defaults. */
  readonly sent?: ReadonlyMap<number, RequestFeatures>;
}

/** An event's value that overlays the feature source's value in one column. */
export interface LaidValue {
  readonly column: number;
  readonly entry: ContextValue;
}

/**
 * The value that an event left in a user's context for one feature. Times are in ms since 1970. When an event is
 * accepted, migrations/0022_order_of_event_values.sql decides which value remains.
 */
export interface ContextValue {
  readonly value: unknown;
  /** When Postgres accepted the event, on Postgres' clock; never earlier than that of the value that it replaced. */
  readonly accepted: number;
  /** Time of the event, or of its acceptance if it has none; never earlier than that of the value that it replaced. */
  readonly time: number;
  readonly source: string;
  readonly id: string;
}

/** Feature name → the last value of an event. */
export type ContextFeatures = Readonly<Record<string, ContextValue>>;

/**
 * Returns whether an event's value still overlays the feature source's row.
 * @param asOf the row's `asOf` in ms, null if the query names none or the row has none
 */
export function overlays(query: FeatureQuery, entry: ContextValue, asOf: number | null, now: number): boolean {
  if (entry.value === null) return false;
  if (query.asOf !== null) return asOf === null || entry.accepted >= asOf;
  return query.overlayForMs !== null && entry.accepted + query.overlayForMs > now;
}

/**
 * Returns the rows of two statements as one batch; each row keeps the version that was read with its features. `readAt`
 * is the earlier of the two times, so that a prediction expires early rather than late.
 */
export function joinBatches(first: FeatureBatch, second: FeatureBatch): FeatureBatch {
  const offset = first.userIds.length;
  const moved = <T>(byRow: ReadonlyMap<number, T>) => [...byRow].map(([row, value]) => [row + offset, value] as const);
  return {
    history: first.history,
    columns: first.columns,
    readAt: Math.min(first.readAt, second.readAt),
    userIds: [...first.userIds, ...second.userIds],
    contextVersions: [...first.contextVersions, ...second.contextVersions],
    values: first.values.map((values, column) => [...values, ...(second.values[column] ?? [])]),
    faults: new Map([...first.faults, ...moved(second.faults)]),
    unusable: new Map([...first.unusable, ...moved(second.unusable)]),
  };
}

/** Returns the rows of a batch that can be scored. */
export function scorableRows(batch: FeatureBatch): number[] {
  const rows: number[] = [];
  for (let row = 0; row < batch.userIds.length; row++) if (!batch.faults.has(row)) rows.push(row);
  return rows;
}
