/**
 * Decodes the rows of a feature statement into columns, and overlays the values of events. For each user that cannot be
 * scored it gives the reason: column, value and fix.
 */

import {
  type ContextFeatures,
  type ContextValue,
  type FeatureBatch,
  type LaidValue,
  overlays,
} from '@tandem/freshness/features';
import type { FeatureColumn, FeatureKind, FeatureQuery, ModelVersion } from '@tandem/freshness/predictor';
import { checkUserId, type KeyType } from '@tandem/freshness/user-id';
import { LEADING_COLUMNS } from './feature-statement.ts';
import type { RefusedRows } from './row-bounds.ts';

/** A row from Postgres: each value is its text, or null. */
export type RawRow = readonly (string | null)[];

/** The value of a feature for one user, or why the value cannot be used. */
export type Decoded = { readonly value: number | string | null; readonly fault?: string };

/** Called for each value of an event that overrides the row's own. */
export type OverlayListener = (row: number, column: number, own: Decoded, entry: ContextValue) => void;

export interface BatchMoment {
  readonly history: string;
  /** The time at which the rows were read, in ms since 1970. */
  readonly readAt: number;
}

interface DecodeOptions {
  readonly onOverlay?: OverlayListener | undefined;
  /** Users whose features were not read. */
  readonly refused?: RefusedRows;
}

/**
 * Decodes rows into a batch.
 * @param oids the type OIDs of the feature columns in the statement's result
 */
export function decodeBatch(
  version: Pick<ModelVersion, 'query' | 'keyType'>,
  rows: readonly RawRow[],
  oids: readonly number[],
  moment: BatchMoment,
  { onOverlay = () => {}, refused = new Map() }: DecodeOptions = {},
): FeatureBatch {
  const { columns } = version.query;
  const faults = new Map<number, string>();
  const unusable = new Map<number, string[]>();
  const fault = (row: number, why: string) => {
    if (!faults.has(row)) faults.set(row, why);
  };
  const userIds = rows.map((row) => row[0] ?? '');
  checkIds(version, userIds, fault);
  const values: (number | string | null)[][] = columns.map(() => new Array(rows.length).fill(null));
  const decoders = columns.map((column, i) => decoderOf(column, oids[i] ?? 0));
  const overlay = overlayDecoder(version.query, moment.readAt);
  const laid = createLaidValues();
  rows.forEach((raw, row) => {
    const dropped = refused.get(raw[0] ?? '');
    if (dropped) {
      fault(row, dropped.why);
      unusable.set(row, [dropped.column]);
      return;
    }
    const decoded = decoders.map((decode, i) => decode(raw[LEADING_COLUMNS + i] ?? null));
    if (raw[2]) {
      const asOf = raw[3] === null || raw[3] === undefined ? null : Number(raw[3]);
      overlay(raw[2], asOf, (i, value, entry) => {
        onOverlay(row, i, decoded[i] as Decoded, entry);
        laid.note(row, i, entry);
        decoded[i] = value;
      });
    }
    decoded.forEach(({ value, fault: why }, i) => {
      (values[i] as (number | string | null)[])[row] = value;
      if (why === undefined) return;
      fault(row, why);
      unusable.set(row, [...(unusable.get(row) ?? []), columns[i]?.name ?? '']);
    });
  });
  const contextVersions = rows.map((row) => Number(row[1]));
  return { ...moment, userIds, contextVersions, columns, values, faults, unusable, fromEvents: laid.byRow };
}

/** Creates the record of event values that override rows. */
export function createLaidValues() {
  const byRow = new Map<number, LaidValue[]>();
  return {
    byRow,
    note(row: number, column: number, entry: ContextValue): void {
      const laid = byRow.get(row);
      if (laid) laid.push({ column, entry });
      else byRow.set(row, [{ column, entry }]);
    },
  };
}

/** Overrides a row's values with the values of the user's context that still count. */
type Overlay = (
  context: string,
  asOf: number | null,
  put: (column: number, value: Decoded, entry: ContextValue) => void,
) => void;

/**
 * Returns a function that finds the values of a user's context that override the row's own.
 * @param readAt the time of the read in ms since 1970, on Postgres' clock
 */
export function overlayDecoder(query: FeatureQuery, readAt: number): Overlay {
  return (context, asOf, put) => {
    const entries = JSON.parse(context) as ContextFeatures;
    query.columns.forEach((column, i) => {
      const entry = Object.hasOwn(entries, column.name) ? entries[column.name] : undefined;
      if (entry && overlays(query, entry, asOf, readAt)) put(i, eventValue(column, entry), entry);
    });
  };
}

/** Adds a fault for each row whose user id is unusable or occurs twice. */
export function checkIds(
  { keyType }: Pick<ModelVersion, 'keyType'>,
  userIds: readonly string[],
  fault: (row: number, why: string) => void,
): void {
  let ascending = true;
  userIds.forEach((userId, row) => {
    const check = checkUserId(keyType, userId);
    if (!check.ok) {
      const canonical =
        check.canonical === undefined ? '' : `; the canonical spelling is ${JSON.stringify(check.canonical)}`;
      fault(row, `${check.problem}${canonical}; change user_id in the feature query`);
    }
    ascending &&= row === 0 || userId > (userIds[row - 1] as string);
  });
  // Chunks that are read along an index are usually in order. Then no user occurs twice.
  if (!ascending) nameRepeated(userIds, fault);
}

function nameRepeated(userIds: readonly string[], fault: (row: number, why: string) => void): void {
  const why = 'the feature query has more than one row for this user; give it one row a user (distinct on, group by)';
  const rowOf = new Map<string, number>();
  userIds.forEach((userId, row) => {
    const earlier = rowOf.get(userId);
    if (earlier === undefined) {
      rowOf.set(userId, row);
      return;
    }
    fault(earlier, why);
    fault(row, why);
  });
}

/** @param raw the value as Postgres writes it, or null */
export type Decoder = (raw: string | null) => Decoded;

const INTEGER_OIDS = new Set([20, 21, 23]);
const NUMBER_OIDS = new Set([20, 21, 23, 700, 701, 1700]);
const TEXT_OIDS = new Set([19, 25, 1042, 1043]);
const BOOLEAN_OID = 16;
const UUID_OID = 2950;
/** date, timestamp and timestamptz, of which Postgres extracts the seconds since 1970. */
const TIME_OIDS = new Set([1082, 1114, 1184]);

const DECLARED_NULL: Decoded = { value: null };

export function decoderOf({ name, kind, nullAs }: FeatureColumn, oid: number): Decoder {
  const undeclared: Decoded = {
    value: null,
    fault: `feature ${name} is null; set the value of a null (features.nulls), return a value from the feature query (coalesce), or exclude the user`,
  };
  const missing = nullAs === undefined ? undeclared : DECLARED_NULL;
  if (!fitsKind(kind, oid)) {
    const fault = `feature ${name} is no longer of kind ${kind} in the feature query; cast it back, or adopt the config again`;
    return () => ({ value: null, fault });
  }
  if (kind === 'string') return (raw) => (raw === null ? missing : { value: raw });
  if (kind === 'boolean') return (raw) => (raw === null ? missing : { value: raw === 't' ? 1 : 0 });
  return (raw) => (raw === null ? missing : numberOf(name, kind, raw));
}

/** Returns whether Postgres can compare user ids of this type with keys of the version. */
export function fitsKey(keyType: KeyType, oid: number): boolean {
  return keyType === 'uuid' ? oid === UUID_OID : fitsKind(keyType === 'text' ? 'string' : 'number', oid);
}

/** Returns whether Postgres can turn `asOf` of this type into a time. */
export function fitsTime(oid: number): boolean {
  return TIME_OIDS.has(oid);
}

/** Returns whether values of this type can be decoded as a feature of the kind. */
export function fitsKind(kind: FeatureKind, oid: number): boolean {
  switch (kind) {
    case 'string':
      return TEXT_OIDS.has(oid);
    case 'boolean':
      return oid === BOOLEAN_OID;
    case 'integer':
      return INTEGER_OIDS.has(oid);
    case 'number':
      return NUMBER_OIDS.has(oid);
  }
}

function numberOf(name: string, kind: FeatureKind, raw: string): Decoded {
  const value = Number(raw);
  if (!Number.isFinite(value)) {
    const orNull = Number.isNaN(value) ? `, or a null: nullif(${name}, 'NaN')` : '';
    return { value: null, fault: `feature ${name} is ${raw}; make the feature query return a finite number${orNull}` };
  }
  if (kind === 'integer' && !Number.isSafeInteger(value)) {
    return {
      value: null,
      fault: `feature ${name} is ${raw}, an integer beyond 2^53 that a model cannot take exactly; scale it, or cast it to double precision`,
    };
  }
  return { value };
}

/** Decodes an event's value. Its type was valid at acceptance, but the feature may have another kind since. */
function eventValue({ name, kind }: FeatureColumn, { value, source, id }: ContextValue): Decoded {
  if (kind === 'boolean' && typeof value === 'boolean') return { value: value ? 1 : 0 };
  if (kind === 'string' && typeof value === 'string') return { value };
  if (kind === 'number' && typeof value === 'number' && Number.isFinite(value)) return { value };
  if (kind === 'integer' && Number.isSafeInteger(value)) return { value: value as number };
  const sent = JSON.stringify(value)?.slice(0, 40);
  return {
    value: null,
    fault: `feature ${name} is ${sent} by event ${id} of ${source}, which is not of kind ${kind}; send a newer event with the right value, or null`,
  };
}
