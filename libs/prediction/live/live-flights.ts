/**
 * Shares live inferences between readers of one user (single flight). A flight is one feature statement and one run of the
 * model, as far as they concern one user. Three rules decide who shares it:
 * - A reader that comes before the statement is sent joins the flight and takes its result, whatever its label.
 * - A reader that comes later follows the flight. It takes the result only if the label is at least its own version.
 * - A reader that demands a new inference joins only a flight whose statement is not sent yet.
 * - A reader with request features has a separate flight, which no other reader joins or follows.
 *
 * The code uses plain callbacks and one promise per read. With promises and a timer for each reader, sharing cost more than
 * a reader's part of the statement.
 */
import { type LiveOutcome, type LiveReader, NO_ROOM } from '@tandem/freshness/live-predictor';
import type { RequestRow } from '@tandem/freshness/request-features';
import type { Timed } from './reader-deadlines.ts';

/** The readers of one request. They are answered together. */
export class LiveRead implements Timed {
  readonly readers: readonly LiveReader[];
  readonly deadline: number;
  /** Outcomes by index of the reader; undefined until there is a result. */
  readonly outcomes: (LiveOutcome | undefined)[];
  index = -1;
  isOver = false;
  /** Whether it is over because its caller has gone. */
  isGone = false;
  /** Whether its caller tells when it goes. */
  readonly mayLeave: boolean;
  #missing: number;
  readonly #done: () => void;
  readonly #leaving: (() => void)[] = [];

  /** @param done called once: when every reader has an outcome, at the deadline, or when the caller goes */
  constructor(readers: readonly LiveReader[], deadline: number, done: () => void, mayLeave = false) {
    this.readers = readers;
    this.deadline = deadline;
    this.outcomes = readers.map(() => undefined);
    this.#missing = readers.length;
    this.#done = done;
    this.mayLeave = mayLeave;
  }

  /** Sets the outcome of one reader. Does nothing once the read is over. */
  settle(index: number, outcome: LiveOutcome): void {
    if (this.isOver || this.outcomes[index]) return;
    this.outcomes[index] = outcome;
    if (--this.#missing === 0) this.end();
  }

  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#done();
  }

  /** Ends it because its caller has gone. */
  leave(): void {
    if (this.isOver) return;
    this.isGone = true;
    this.end();
    for (const tell of this.#leaving) tell();
  }

  /** Calls back when the caller goes before the read is over; at once if it has gone already. */
  onGone(tell: () => void): void {
    if (this.isGone) tell();
    else this.#leaving.push(tell);
  }
}

export interface Flight {
  readonly userId: string;
  /** For a reader with request features: its rows. */
  readonly rows?: readonly RequestRow[];
  /** The rows that it takes of the shared room, until the scorer gets it. */
  roomTaken: number;
  /** Whether its feature statement has been sent. */
  isSent: boolean;
  /** The latest deadline of its waiters, on the clock of `performance.now()`. */
  deadline: number;
  /** Readers that take the result with any label. */
  readonly waiters: Waiter[];
  /** Readers that came after it was sent. */
  followers: Waiter[] | undefined;
}

interface Waiter {
  readonly read: LiveRead;
  /** Its index among the readers of the read. */
  readonly index: number;
}

/** Returns whether a reader that came after the flight was sent still waits for it. */
export function isFollowed({ followers }: Flight): boolean {
  return followers?.some(({ read }) => !read.isOver) ?? false;
}

interface Completed {
  readonly outcome: LiveOutcome;
  readonly until: number;
}

/**
 * How long after its flight's completion a result may still be taken, by the followers' rule. Some readers look into
 * the overlay before the result is stored there, and ask after the flight has completed: each of them would cost
 * another inference.
 */
const LINGER_MS = 250;

export interface FlightTable {
  /** Finds a flight for each reader of the read, so that each gets an outcome. */
  join(read: LiveRead): void;
  /** Passes a flight's result to its readers. */
  complete(flight: Flight, outcome: LiveOutcome): void;
}

/**
 * @param ask queues a flight for the next feature statement, which marks it as sent and completes it
 * @param hasRoom whether this many more rows would be inferred by a deadline. If not, the reader is rejected at once.
 * Sharing a flight costs nothing and is never rejected.
 */
export function createFlightTable(
  ask: (flight: Flight) => void,
  hasRoom: (deadline: number, rows: number) => boolean = () => true,
): FlightTable {
  /** The latest flight of each user. */
  const flights = new Map<string, Flight>();
  /** Recent results, for readers that looked into the overlay before the result was there; in order of completion. */
  const completed = new Map<string, Completed>();

  function wait(waiter: Waiter, reader: LiveReader): void {
    const { userId, fresh, rows } = reader;
    if (rows) {
      askAlone(waiter, userId, rows);
      return;
    }
    const shared = flights.get(userId);
    const last = shared || fresh ? undefined : completed.get(userId);
    if (last && last.until > performance.now() && isNewEnough(last.outcome, reader)) {
      waiter.read.settle(waiter.index, last.outcome);
      return;
    }
    if (!shared?.isSent || fresh) joinUnsent(waiter, userId, shared);
    else if (shared.followers) shared.followers.push(waiter);
    else shared.followers = [waiter];
  }

  /** Joins a flight whose statement has not been sent, or starts one. */
  function joinUnsent(waiter: Waiter, userId: string, last: Flight | undefined): void {
    const { deadline } = waiter.read;
    if (last && !last.isSent) {
      last.waiters.push(waiter);
      last.deadline = Math.max(last.deadline, deadline);
      return;
    }
    if (!hasRoom(deadline, 1)) {
      waiter.read.settle(waiter.index, NO_ROOM);
      return;
    }
    const flight: Flight = { userId, roomTaken: 1, isSent: false, deadline, waiters: [waiter], followers: undefined };
    flights.set(userId, flight);
    ask(flight);
  }

  /** Starts a flight that no other reader joins or follows. */
  function askAlone(waiter: Waiter, userId: string, rows: readonly RequestRow[]): void {
    const { deadline } = waiter.read;
    if (hasRoom(deadline, rows.length)) {
      const roomTaken = rows.length;
      ask({ userId, rows, roomTaken, isSent: false, deadline, waiters: [waiter], followers: undefined });
    } else waiter.read.settle(waiter.index, NO_ROOM);
  }

  function remember(userId: string, outcome: LiveOutcome): void {
    const now = performance.now();
    for (const [first, { until }] of completed) {
      if (until > now) break;
      completed.delete(first);
    }
    if (outcome.kind !== 'predicted') return;
    completed.delete(userId);
    completed.set(userId, { outcome, until: now + LINGER_MS });
  }

  return {
    join(read) {
      for (const [i, reader] of read.readers.entries()) wait({ read, index: i }, reader);
    },
    complete(flight, outcome) {
      const { userId, waiters, followers } = flight;
      if (flights.get(userId) === flight) flights.delete(userId);
      remember(userId, outcome);
      for (const { read, index } of waiters) read.settle(index, outcome);
      if (!followers) return;
      for (const waiter of followers) {
        const { read, index } = waiter;
        if (read.isOver) continue;
        if (isNewEnough(outcome, read.readers[index])) read.settle(index, outcome);
        else joinUnsent(waiter, userId, flights.get(userId));
      }
    },
  };
}

/** Returns whether a reader may take a result whose features were read before it arrived. */
function isNewEnough(outcome: LiveOutcome, reader: LiveReader | undefined): boolean {
  return outcome.kind === 'predicted' && reader !== undefined && outcome.contextVersion >= reader.minVersion;
}
