/**
 * Live predictions: reads features and version in one statement that begins after the reader arrived, infers with a
 * deadline, and stores the answer in the overlay for the next reader. Readers of one user share an inference
 * (live-flights.ts).
 */
import {
  CALLER_GONE,
  type LiveOutcome,
  type LivePredictor,
  type LiveRequest,
  NO_ROOM,
  rowsOf,
} from '@tandem/freshness/live-predictor';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { StatementLine } from '@tandem/freshness/statement-line';
import { type LoadShedding, UNBOUNDED } from '../scoring/scoring.ts';
import { createGatheredRefusals } from './gathered-refusals.ts';
import { type Flight, FlightTable, LiveRead } from './live-flights.ts';
import { createReaderDeadlines } from './reader-deadlines.ts';
import { type FlightDependencies, runFlights } from './run-flights.ts';
import { createSuspects } from './suspects.ts';

export interface LivePredictorDependencies extends FlightDependencies {
  /** Decides which requests can be answered in time; absent: all requests. */
  readonly loadShedding?: LoadShedding;
  /** Receives each request at its end, for metrics: the results of its readers, and its duration. */
  onAnswered?(request: LiveRequest, outcomes: ReadonlyMap<string, LiveOutcome>, ms: number): void;
  /** The milliseconds that rejections wait for each other, which makes them cheaper (`GatheredRefusals`). */
  readonly refusalPatienceMs?: number | undefined;
  /** The maximum number of concurrent feature statements. */
  readonly maxStatements?: number;
}

/**
 * The maximum number of rows in a statement: one for each user, or one for each row of a reader with request features.
 */
const MAX_ROWS_A_STATEMENT = 1_000;
/** The longest time that live reads wait for each other. A fuller statement costs each of them less. */
const PATIENCE_MS = 1;

export function createLivePredictor(dependencies: LivePredictorDependencies): LivePredictor {
  const { maxStatements = 2, onAnswered, loadShedding = UNBOUNDED } = dependencies;
  // Groups flights by model version, history and floor. Different groups share no flights.
  const tables = new WeakMap<ModelVersion, { readonly request: LiveRequest; readonly table: FlightTable }>();
  const deadlines = createReaderDeadlines();
  const refusals = createGatheredRefusals(dependencies.refusalPatienceMs);
  /** Rows of existing flights that the scorer does not have yet. */
  const unscored = { rows: 0 };

  function tableOf(request: LiveRequest): FlightTable {
    const last = tables.get(request.version);
    if (last && isOfOneTime(last.request, request)) return last.table;
    const table = createTable(request);
    tables.set(request.version, { request, table });
    return table;
  }

  function createTable(request: LiveRequest): FlightTable {
    const suspects = createSuspects();
    const line = new StatementLine<Flight>({
      send: (flights) => runFlights(flights, { dependencies, request, table, suspects, onHandedOver }),
      maxInFlight: maxStatements,
      maxWeight: MAX_ROWS_A_STATEMENT,
      weigh: rowsOf,
      patienceMs: PATIENCE_MS,
    });
    const roomUntil = (deadline: number) =>
      loadShedding.room(request.version, deadline - performance.now()) - unscored.rows;
    const hasRoom = (deadline: number, rows: number) => {
      const room = roomUntil(deadline);
      // Without other waiting work, a reader of many rows is accepted even if there is room for fewer. The scorer
      // rejects the rows without room, and measures its speed with the others.
      return room >= rows || (room > 0 && unscored.rows === 0);
    };
    const table = new FlightTable((flight) => {
      // Rows that exceed the room are not counted, so that they take no room from readers of other models.
      if (flight.rows) flight.roomTaken = Math.min(flight.rows.length, Math.max(1, roomUntil(flight.deadline)));
      unscored.rows += flight.roomTaken;
      line.add(flight);
    }, hasRoom);
    return table;
  }

  function onHandedOver(rows: number): void {
    unscored.rows -= rows;
  }

  return {
    predict(request) {
      if (!request.enabled || request.readers.length === 0) return Promise.resolve(new Map());
      return new Promise((resolve) => {
        const askedAt = performance.now();
        const done = () => {
          deadlines.remove(read);
          const outcomes = outcomesOf(read, request);
          const tell = () => {
            resolve(outcomes);
            onAnswered?.(request, outcomes, performance.now() - askedAt);
          };
          if (read.outcomes.every((outcome) => outcome === NO_ROOM)) refusals.add(tell, request.timeoutMs);
          else tell();
        };
        const read = new LiveRead(request.readers, askedAt + request.timeoutMs, done, request.onGone !== undefined);
        deadlines.add(read, request.timeoutMs);
        request.onGone?.(() => read.leave());
        // A caller that has already disconnected takes no room from others.
        if (!read.isOver) tableOf(request).join(read);
      });
    },
  };
}

function isOfOneTime(one: LiveRequest, other: LiveRequest): boolean {
  return one.history === other.history && one.assignment.overlayFloor === other.assignment.overlayFloor;
}

function outcomesOf({ outcomes, readers, isGone }: LiveRead, request: LiveRequest): Map<string, LiveOutcome> {
  const { isCallersTime = false } = request;
  const missing = isGone || isCallersTime ? CALLER_GONE : late(request);
  const byUser = new Map<string, LiveOutcome>();
  for (const [i, { userId }] of readers.entries()) {
    const outcome = outcomes[i] ?? missing;
    byUser.set(userId, isCallersTime ? withinCallersTime(outcome) : outcome);
  }
  return byUser;
}

/** Returns an outcome for a time limit that was the caller's own: a `live_timeout` becomes `CALLER_GONE`. */
function withinCallersTime(outcome: LiveOutcome): LiveOutcome {
  if (outcome.kind === 'rows') return { kind: 'rows', rows: outcome.rows.map(withinCallersTime) };
  return outcome.kind === 'failed' && outcome.reason === 'live_timeout' ? CALLER_GONE : outcome;
}

function late({ timeoutMs }: LiveRequest): LiveOutcome {
  return { kind: 'failed', reason: 'live_timeout', detail: `no answer within ${timeoutMs} ms` };
}
