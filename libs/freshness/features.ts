/**
 * Features of many users in columns, with the context version that was read in the same row, in the same statement:
 * that version is the label of whatever is computed from them, and what makes a label true.
 */
import type { FeatureColumn, FeatureQuery } from './predictor.ts';
import type { RequestFeatures } from './read-options.ts';

/**
 * One column: numbers, integers and booleans as doubles (booleans 0 and 1), text as strings; null where SQL says null. Of
 * thousands of users a column that holds numbers alone is an array of doubles.
 */
export type FeatureValues = readonly (number | string | null)[] | Float64Array;

export interface FeatureBatch {
  /** The database's past in which the versions below count. */
  readonly history: string;
  /** Postgres' clock at the statement that read them, ms since 1970: the predictions' `computedAt`. */
  readonly readAt: number;
  readonly userIds: readonly string[];
  readonly contextVersions: readonly number[];
  readonly columns: readonly FeatureColumn[];
  /** In the order of `columns`, each with a value a user. */
  readonly values: readonly FeatureValues[];
  /**
   * Users that cannot be scored: row number → reason. The reason names values, so only callers that may read features
   * see it.
   */
  readonly faults: ReadonlyMap<number, string>;
  /** Of those, by row, the names of the features that no model can be given. */
  readonly unusable: ReadonlyMap<number, readonly string[]>;
  /** By row, the values that events laid over the row's own. For live reads only; absent: unknown. */
  readonly fromEvents?: ReadonlyMap<number, readonly LaidValue[]>;
  /** The first request feature among the columns, where there are any. */
  readonly requestFrom?: number;
  /** By row, what its call sent. A row that is not in it has the declared defaults. */
  readonly sent?: ReadonlyMap<number, RequestFeatures>;
}

/** A value of one column that an event laid over the feature source's. */
export interface LaidValue {
  readonly column: number;
  readonly entry: ContextValue;
}

/**
 * The value that an event left in a user's context for one feature. Times in ms since 1970. Which value stands is decided
 * when an event is accepted: migrations/0022_order_of_event_values.sql.
 */
export interface ContextValue {
  readonly value: unknown;
  /** When Postgres accepted it, on Postgres' clock; never earlier than the value that it replaced. */
  readonly accepted: number;
  /** Time of the event, or of its acceptance if it has none; never earlier than the value that it replaced. */
  readonly time: number;
  readonly source: string;
  readonly id: string;
}

/** Feature name → the last value of an event. */
export type ContextFeatures = Readonly<Record<string, ContextValue>>;

/**
 * Whether an event's value still overlays the feature source's row.
 * @param asOf the row's `asOf` in ms, null if the query names none or the row has none
 */
export function overlays(query: FeatureQuery, entry: ContextValue, asOf: number | null, now: number): boolean {
  if (entry.value === null) return false;
  if (query.asOf !== null) return asOf === null || entry.accepted >= asOf;
  return query.overlayForMs !== null && entry.accepted + query.overlayForMs > now;
}

/**
 * The rows of two statements as one batch; each keeps the version that was read with its features. `readAt` is the earlier
 * one: a prediction that seems older than it is expires early, never late.
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

/** The rows of a batch that can be scored. */
export function scorableRows(batch: FeatureBatch): number[] {
  const rows: number[] = [];
  for (let row = 0; row < batch.userIds.length; row++) if (!batch.faults.has(row)) rows.push(row);
  return rows;
}
