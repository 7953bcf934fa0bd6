/**
 * Turns the rows of one feature statement into outcomes. Each user has a row that all readers of the user share. Each
 * request with request features has a further row, which only its reader gets.
 */
import type { FeatureBatch } from '@tandem/freshness/features';
import { type LiveOutcome, NO_FEATURES } from '@tandem/freshness/live-predictor';
import { type UserRequest, withRequestRows } from '@tandem/freshness/request-features';
import type { CertifiedFeatures } from '../scoring/feature-source.ts';
import { unusableFeatures } from './live-failures.ts';
import type { Flight, LiveRead } from './live-flights.ts';

/** Outcomes of the flights of one statement. A reader with request features never gets a row of another flight. */
export class Outcomes {
  /** Outcomes of users that no flight scores: erased users and users with unusable features. */
  readonly users = new Map<string, LiveOutcome>();
  /** Outcomes of flights with users' own features, by user. */
  readonly plain = new Map<string, LiveOutcome>();
  readonly ofRows = new Map<Flight, LiveOutcome>();

  set(flight: Flight, outcome: LiveOutcome): void {
    if (flight.rows) this.ofRows.set(flight, outcome);
    else this.plain.set(flight.userId, outcome);
  }

  of(flight: Flight): LiveOutcome {
    const own = flight.rows ? this.ofRows.get(flight) : this.plain.get(flight.userId);
    return own ?? this.users.get(flight.userId) ?? NO_FEATURES;
  }
}

/** Rows of users' own features that are scored together. */
export interface PlainRows {
  /** The only caller of these rows, if it reports when it disconnects; undefined for the rows of all other callers. */
  readonly caller: LiveRead | undefined;
  readonly rows: number[];
  readonly flights: Flight[];
}

/**
 * Returns the only read that joined a flight, if its caller reports when it disconnects. Other reads may follow the
 * flight later.
 */
export function callerOf({ waiters }: Flight): LiveRead | undefined {
  const [first] = waiters;
  return waiters.length === 1 && first?.read.mayLeave ? first.read : undefined;
}

/**
 * Groups rows by caller, so that the rows of a caller that disconnects can be removed. Other rows are grouped by
 * whether their answers are demanded, since those wait for a write to Postgres. Leaves out rows that no flight needs.
 */
function groupByCaller(rows: readonly number[], { userIds }: FeatureBatch, wanted: ReadonlyMap<string, Flight>) {
  const groups = new Map<LiveRead | boolean, PlainRows>();
  for (const row of rows) {
    const flight = wanted.get(userIds[row] ?? '');
    if (!flight) continue;
    const caller = callerOf(flight);
    const key = caller ?? flight.demanded === true;
    const group = groups.get(key) ?? { caller, rows: [], flights: [] };
    groups.set(key, group);
    group.rows.push(row);
    group.flights.push(flight);
  }
  return [...groups.values()];
}

/**
 * The maximum total text of a statement's rows with request features, in UTF-16 units. Each such row repeats the user's
 * texts.
 */
const MAX_REPEATED_TEXT = 64 * 1_048_576;

function textUnits({ values }: FeatureBatch, row: number): number {
  return values.reduce((sum, column) => {
    const value = column[row];
    return typeof value === 'string' ? sum + value.length : sum;
  }, 0);
}

function tooMuchText(rows: number): LiveOutcome {
  const detail = `the texts of this user, repeated for ${rows} rows, are too long; shorten them in the feature query, or send fewer candidates`;
  return unusableFeatures(detail, []);
}

/**
 * Returns the rows that can be inferred, and sets the outcomes of the others. The batch has first the rows of users, in
 * `groups`, then the rows of request features, which `requests` names for each flight.
 */
export function rowsToScore({ batch }: CertifiedFeatures, flights: readonly Flight[], outcomes: Outcomes) {
  const rows: number[] = [];
  batch.userIds.forEach((userId, row) => {
    const fault = batch.faults.get(row);
    if (outcomes.users.has(userId)) return;
    if (fault !== undefined) outcomes.users.set(userId, unusableFeatures(fault, batch.unusable.get(row) ?? []));
    else rows.push(row);
  });
  const firstRequest = batch.userIds.length;
  const plain = flights.filter(({ userId, rows: own }) => !own && !outcomes.plain.has(userId));
  const groups = groupByCaller(rows, batch, new Map(plain.map((flight) => [flight.userId, flight])));
  if (flights.every((flight) => flight.rows === undefined)) return { batch, groups, requests: [] };
  const rowOf = new Map(rows.map((row) => [batch.userIds[row], row]));
  const requested: UserRequest[] = [];
  let repeated = 0;
  const requests = flights.flatMap((flight) => {
    const row = rowOf.get(flight.userId);
    if (!flight.rows || row === undefined || outcomes.ofRows.has(flight)) return [];
    const units = textUnits(batch, row) * flight.rows.length;
    if (repeated + units > MAX_REPEATED_TEXT) {
      outcomes.ofRows.set(flight, tooMuchText(flight.rows.length));
      return [];
    }
    repeated += units;
    const first = firstRequest + requested.length;
    for (const request of flight.rows) requested.push({ row, request });
    return [{ flight, first, count: flight.rows.length }];
  });
  return {
    batch: withRequestRows(batch, requested),
    groups,
    requests,
  };
}
