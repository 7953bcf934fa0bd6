/**
 * Live predictions: features and version in one statement begun after the reader arrived, inference with a deadline,
 * then the answer is kept in the overlay for the next reader. Readers of one user share an inference (live-flights.ts).
 */
import {
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
import { createFlightTable, type Flight, type FlightTable, LiveRead } from './live-flights.ts';
import { createReaderDeadlines } from './reader-deadlines.ts';
import { type FlightDependencies, runFlights } from './run-flights.ts';
import { createSuspects } from './suspects.ts';

export interface LivePredictorDependencies extends FlightDependencies {
  /** Who could be inferred in time; everyone, where it is left out. */
  readonly loadShedding?: LoadShedding;
  /**
   * Told of each request that was answered, for metrics: what became of its readers, and how long that took. Not told of
   * requests whose caller has gone.
   */
  onAnswered?(request: LiveRequest, outcomes: ReadonlyMap<string, LiveOutcome>, ms: number): void;
  /** For how many ms refusals wait for each other, so that telling them costs less (`GatheredRefusals`). */
  readonly refusalPatienceMs?: number | undefined;
  /** Feature statements under way at once. */
  readonly maxStatements?: number;
}

/** One row for each user, or one for each row of a reader with request features. */
const MAX_ROWS_A_STATEMENT = 1_000;
/** What the live reads of a moment wait for each other at most: the fuller a statement, the less it costs each of them. */
const PATIENCE_MS = 1;

export function createLivePredictor(dependencies: LivePredictorDependencies): LivePredictor {
  const { maxStatements = 2, onAnswered, loadShedding = UNBOUNDED } = dependencies;
  // By where answers are computed for and kept under: a model version, its history and floor. Others share nothing with it.
  const tables = new WeakMap<ModelVersion, { readonly request: LiveRequest; readonly table: FlightTable }>();
  const deadlines = createReaderDeadlines();
  const refusals = createGatheredRefusals(dependencies.refusalPatienceMs);
  /** Rows whose flights exist, and which the scorer does not have yet. */
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
      // While nothing else waits, a reader of many rows is admitted with less: the scorer refuses the
      // rows beyond, and learns from the others.
      return room >= rows || (room > 0 && unscored.rows === 0);
    };
    const table = createFlightTable((flight) => {
      // Rows without room take none from the readers of other models, who share it until the features have been read.
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
        let isGone = false;
        const read = new LiveRead(request.readers, askedAt + request.timeoutMs, () => {
          deadlines.remove(read);
          const outcomes = outcomesOf(read, isGone ? GONE : late(request));
          const tell = () => {
            resolve(outcomes);
            if (!isGone) onAnswered?.(request, outcomes, performance.now() - askedAt);
          };
          if (read.outcomes.every(isNoRoom)) refusals.add(tell, request.timeoutMs);
          else tell();
        });
        deadlines.add(read, request.timeoutMs);
        request.onGone?.(() => {
          isGone ||= !read.isOver;
          read.end();
        });
        // A caller who has gone already takes no room from others.
        if (!read.isOver) tableOf(request).join(read);
      });
    },
  };
}

function isOfOneTime(one: LiveRequest, other: LiveRequest): boolean {
  return one.history === other.history && one.assignment.overlayFloor === other.assignment.overlayFloor;
}

function isNoRoom(outcome: LiveOutcome | undefined): boolean {
  return outcome === NO_ROOM;
}

const GONE: LiveOutcome = Object.freeze({ kind: 'failed', reason: 'live_timeout', detail: 'the caller has gone' });

/** @param missing the outcome of readers that have none */
function outcomesOf({ outcomes, readers }: LiveRead, missing: LiveOutcome): Map<string, LiveOutcome> {
  const byUser = new Map<string, LiveOutcome>();
  for (const [i, { userId }] of readers.entries()) byUser.set(userId, outcomes[i] ?? missing);
  return byUser;
}

function late({ timeoutMs }: LiveRequest): LiveOutcome {
  return { kind: 'failed', reason: 'live_timeout', detail: `no answer within ${timeoutMs} ms` };
}
