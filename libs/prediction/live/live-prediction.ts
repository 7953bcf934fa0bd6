/**
 * Live predictions: features and version in one statement begun after the reader arrived, inference with a deadline,
 * then the answer is kept in the overlay for the next reader. Readers of one user share an inference (live-flights.ts).
 */
import { type LiveOutcome, type LivePredictor, type LiveRequest, NO_ROOM } from '@tandem/freshness/live-predictor';
import { StatementLine } from '@tandem/freshness/statement-line';
import { type LoadShedding, UNBOUNDED } from '../scoring/scoring.ts';
import { createGatheredRefusals } from './gathered-refusals.ts';
import { createFlightTable, type Flight, type FlightTable, LiveRead } from './live-flights.ts';
import { createReaderDeadlines } from './reader-deadlines.ts';
import { type FlightDependencies, runFlights } from './run-flights.ts';
import { createSuspects } from './suspects.ts';

export interface LivePredictorDependencies extends FlightDependencies {
  /** Who could be inferred in time; everyone, where it is left out. */
  readonly loadShedding?: LoadShedding;
  /** Told of each request that was answered, for metrics: what became of its readers, and how long that took. */
  onAnswered?(request: LiveRequest, outcomes: ReadonlyMap<string, LiveOutcome>, ms: number): void;
  /** For how many ms refusals wait for each other, so that telling them costs less (`GatheredRefusals`). */
  readonly refusalPatienceMs?: number | undefined;
  /** Feature statements under way at once. */
  readonly maxStatements?: number;
}

const MAX_USERS_A_STATEMENT = 1_000;
/** What the live reads of a moment wait for each other at most: the fuller a statement, the less it costs each of them. */
const PATIENCE_MS = 1;
/** Flight tables change with rollouts only; a handful is kept so that none of the past is. */
const MAX_FLIGHT_TABLES = 64;

export function createLivePredictor(dependencies: LivePredictorDependencies): LivePredictor {
  const { maxStatements = 2, onAnswered, loadShedding = UNBOUNDED } = dependencies;
  // Where answers are computed for and kept under: a model version, a history, a floor. Others share nothing with it.
  const tables = new Map<string, FlightTable>();
  const deadlines = createReaderDeadlines();
  const refusals = createGatheredRefusals(dependencies.refusalPatienceMs);
  /** Users whose flights exist and whose rows the scorer does not have yet. */
  const unscored = { users: 0 };
  let last: { readonly request: LiveRequest; readonly table: FlightTable } | undefined;

  /** Mostly that of the request before, for which no key need be made. */
  function tableOf(request: LiveRequest): FlightTable {
    if (!last || !sharesTable(last.request, request)) last = { request, table: findTable(request) };
    return last.table;
  }

  function findTable(request: LiveRequest): FlightTable {
    const key = `${request.version.id}/${request.history}/${request.assignment.overlayFloor}`;
    const known = tables.get(key);
    if (known) return known;
    if (tables.size >= MAX_FLIGHT_TABLES) tables.delete(tables.keys().next().value ?? '');
    const suspects = createSuspects();
    const line = new StatementLine<Flight>({
      send: (flights) => runFlights(flights, { dependencies, request, table, suspects, onHandedOver }),
      maxInFlight: maxStatements,
      maxWeight: MAX_USERS_A_STATEMENT,
      patienceMs: PATIENCE_MS,
    });
    const hasRoom = (deadline: number) =>
      loadShedding.room(request.version, deadline - performance.now()) > unscored.users;
    const table = createFlightTable((flight) => {
      unscored.users++;
      line.add(flight);
    }, hasRoom);
    tables.set(key, table);
    return table;
  }

  function onHandedOver(users: number): void {
    unscored.users -= users;
  }

  return {
    predict(request) {
      if (!request.enabled || request.readers.length === 0) return Promise.resolve(new Map());
      return new Promise((resolve) => {
        const askedAt = performance.now();
        const read = new LiveRead(request.readers, askedAt + request.timeoutMs, () => {
          deadlines.remove(read);
          const outcomes = outcomesOf(read, request);
          const tell = () => {
            resolve(outcomes);
            onAnswered?.(request, outcomes, performance.now() - askedAt);
          };
          if (read.outcomes.every(isNoRoom)) refusals.add(tell, request.timeoutMs);
          else tell();
        });
        deadlines.add(read, request.timeoutMs);
        tableOf(request).join(read);
      });
    },
  };
}

function sharesTable(one: LiveRequest, other: LiveRequest): boolean {
  return (
    one.version.id === other.version.id &&
    one.history === other.history &&
    one.assignment.overlayFloor === other.assignment.overlayFloor
  );
}

function isNoRoom(outcome: LiveOutcome | undefined): boolean {
  return outcome === NO_ROOM;
}

function outcomesOf({ outcomes }: LiveRead, request: LiveRequest): Map<string, LiveOutcome> {
  const byUser = new Map<string, LiveOutcome>();
  for (const [i, { userId }] of request.readers.entries()) byUser.set(userId, outcomes[i] ?? late(request));
  return byUser;
}

function late({ timeoutMs }: LiveRequest): LiveOutcome {
  return { kind: 'failed', reason: 'live_timeout', detail: `no answer within ${timeoutMs} ms` };
}
