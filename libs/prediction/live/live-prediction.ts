/**
 * Live predictions: features and version in one statement begun after the reader arrived, inference with a deadline,
 * then the answer is kept in the overlay for the next reader. Readers of one user share an inference (live-flights.ts).
 */
import { type LiveOutcome, type LivePredictor, type LiveRequest, NO_ROOM } from '@tandem/freshness/live-predictor';
import { StatementLine } from '@tandem/freshness/statement-line';
import { type LoadShedding, UNBOUNDED } from '../scoring/scoring.ts';
import { createFlightTable, type Flight, type FlightTable, LiveRead } from './live-flights.ts';
import { createSuspects, type FlightDependencies, runFlights } from './run-flights.ts';

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

// Refusals that are told together. Where far more is asked than can be done, a refusal comes every millisecond, in between
// the model's turns on the same processor, which leave little of this process in its caches. Told one by one they cost a
// fifth to a third more of the processor (104 µs against 85, and 168 against 112 where others share the machine), which is
// taken from answers. So the first waits a little for the others. Whoever asks again as soon as it is refused is slowed by it.
// No statement line: nothing is sent that could be under way, and each refusal has a limit of its own.

/** Milliseconds. */
const REFUSAL_PATIENCE_MS = 10;
/** The same as a share of the time that its reader has. */
const REFUSAL_PATIENCE_SHARE = 0.05;

interface GatheredRefusals {
  /** @param timeoutMs what the reader who is refused had in all */
  add(tell: () => void, timeoutMs: number): void;
}

/** @param patienceMs that a refusal waits at most; 0: each is told at once, as where few can be connected at a time */
export function createGatheredRefusals(patienceMs = REFUSAL_PATIENCE_MS): GatheredRefusals {
  let waiting: (() => void)[] = [];
  let endsAt = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  function tellAll(): void {
    const all = waiting;
    waiting = [];
    clearTimeout(timer);
    endsAt = Number.POSITIVE_INFINITY;
    for (const tell of all) tell();
  }

  return {
    add(tell, timeoutMs) {
      if (patienceMs === 0) {
        tell();
        return;
      }
      waiting.push(tell);
      const ms = Math.min(patienceMs, timeoutMs * REFUSAL_PATIENCE_SHARE);
      const at = performance.now() + ms;
      if (at >= endsAt) return;
      // Some predictors' readers have less time than others'.
      clearTimeout(timer);
      endsAt = at;
      timer = setTimeout(tellAll, ms);
    },
  };
}

// Ends the wait of readers whose time is over. One ticker looks at all of them: a timer each costs more than their share
// of a statement. It looks twenty times in the shortest time that any of them has, and what comes due before the next
// look is ended at this one: a wait ends up to a twentieth earlier, never later.

export interface Timed {
  /** On the clock of `performance.now`. */
  readonly deadline: number;
  /** Kept here: its index among those that wait; -1 for one that does not. */
  index: number;
  /** Called once at most, after it was taken out. */
  end(): void;
}

interface ReaderDeadlines {
  /** @param timeoutMs how far away its deadline is */
  add(reader: Timed, timeoutMs: number): void;
  remove(reader: Timed): void;
}

const LOOKS = 20;

export function createReaderDeadlines(): ReaderDeadlines {
  // In no order: one that leaves gives its place to the last.
  const waiting: Timed[] = [];
  let ticker: NodeJS.Timeout | undefined;
  let tickMs = Number.POSITIVE_INFINITY;

  function start(ms: number): void {
    clearInterval(ticker);
    tickMs = ms;
    ticker = setInterval(tick, ms);
  }

  function tick(): void {
    const due = performance.now() + tickMs;
    // From the end: whoever takes the place of one that is ended has been looked at.
    for (let i = waiting.length - 1; i >= 0; i--) {
      const reader = waiting[i];
      if (!reader || reader.deadline > due) continue;
      remove(reader);
      reader.end();
    }
    if (waiting.length > 0) return;
    clearInterval(ticker);
    ticker = undefined;
    tickMs = Number.POSITIVE_INFINITY;
  }

  function remove(reader: Timed): void {
    const { index } = reader;
    if (index < 0) return;
    reader.index = -1;
    const last = waiting.pop();
    if (!last || last === reader) return;
    waiting[index] = last;
    last.index = index;
  }

  return {
    add(reader, timeoutMs) {
      reader.index = waiting.push(reader) - 1;
      const wantedMs = Math.max(1, timeoutMs / LOOKS);
      if (wantedMs < tickMs) start(wantedMs);
    },
    remove,
  };
}
