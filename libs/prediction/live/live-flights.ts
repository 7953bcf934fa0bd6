/**
 * Shares live inferences between readers of one user (single flight). A flight is the part of a feature statement and a
 * model run that concerns one user. These rules decide which readers share it:
 * - A reader that arrives before the statement is sent joins the flight and accepts its result, whatever the label.
 * - A reader that arrives later follows the flight. It accepts the result only if the label is at least the reader's
 *   own version.
 * - A reader that demands a new inference (`fresh`) joins only a flight whose statement is not sent yet. A reader that was
 *   not content with a fresh prediction (`demanded`) follows only a flight that such a reader joined before.
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
  /** Whether the read is over because its caller disconnected. */
  isGone = false;
  /** Whether its caller reports when it disconnects. */
  readonly mayLeave: boolean;
  #missing: number;
  readonly #done: () => void;
  readonly #leaving: (() => void)[] = [];

  /** @param done called once: when every reader has an outcome, at the deadline, or when the caller disconnects */
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

  /** Ends the read because its caller disconnected. */
  leave(): void {
    if (this.isOver) return;
    this.isGone = true;
    this.end();
    for (const tell of this.#leaving) tell();
  }

  /** Calls back if the caller disconnects before the read is over; immediately if it has already disconnected. */
  onGone(tell: () => void): void {
    if (this.isGone) tell();
    else this.#leaving.push(tell);
  }
}

export interface Flight {
  readonly userId: string;
  /** The rows of a reader with request features; absent for other flights. */
  readonly rows?: readonly RequestRow[];
  /** The number of rows that the flight occupies of the shared room until the scorer gets them. */
  roomTaken: number;
  /** Whether its feature statement has been sent. */
  isSent: boolean;
  /** Whether a reader demanded it, so that its result is written to Postgres before the readers are answered. */
  demanded?: boolean;
  /** The latest deadline of its readers, on the clock of `performance.now()`. */
  deadline: number;
  /** Readers that accept the result with any label. */
  readonly waiters: Waiter[];
  /** Readers that arrived after the flight was sent. */
  followers: Waiter[] | undefined;
}

interface Waiter {
  readonly read: LiveRead;
  /** Its index among the readers of the read. */
  readonly index: number;
}

/** Returns whether a reader that arrived after the flight was sent still waits for it. */
export function isFollowed({ followers }: Flight): boolean {
  return followers?.some(({ read }) => !read.isOver) ?? false;
}

interface Completed {
  readonly outcome: LiveOutcome;
  readonly until: number;
}

/**
 * How long after a flight's completion readers may still accept its result, by the rule for followers. Some readers
 * look into the overlay before the result is stored there, and request a flight after its completion. Without this time
 * each of them would cost another inference.
 */
const LINGER_MS = 250;

/** The flights of one model version, from their request until shortly after their completion. */
export class FlightTable {
  /** The latest flight of each user. */
  readonly #flights = new Map<string, Flight>();
  /** Recent results in order of completion, for readers that looked into the overlay before the result was stored. */
  readonly #completed = new Map<string, Completed>();
  readonly #ask: (flight: Flight) => void;
  readonly #hasRoom: (deadline: number, rows: number) => boolean;

  /**
   * @param ask queues a flight for the next feature statement, which marks it as sent and completes it
   * @param hasRoom whether this many more rows would be inferred by a deadline. If not, the reader is rejected at once.
   * Sharing a flight costs nothing and is never rejected.
   */
  constructor(ask: (flight: Flight) => void, hasRoom: (deadline: number, rows: number) => boolean = () => true) {
    this.#ask = ask;
    this.#hasRoom = hasRoom;
  }

  /** Finds a flight for each reader of the read, so that each gets an outcome. */
  join(read: LiveRead): void {
    for (const [i, reader] of read.readers.entries()) this.#wait({ read, index: i }, reader);
  }

  /** Passes a flight's result to its readers. */
  complete(flight: Flight, outcome: LiveOutcome): void {
    const { userId, waiters, followers } = flight;
    if (this.#flights.get(userId) === flight) this.#flights.delete(userId);
    this.#remember(userId, outcome);
    for (const { read, index } of waiters) read.settle(index, outcome);
    if (!followers) return;
    for (const waiter of followers) {
      const { read, index } = waiter;
      if (read.isOver) continue;
      if (isNewEnough(outcome, read.readers[index])) read.settle(index, outcome);
      else this.#joinUnsent(waiter, userId, this.#flights.get(userId));
    }
  }

  #wait(waiter: Waiter, reader: LiveReader): void {
    const { userId, fresh, rows } = reader;
    if (rows) {
      this.#askAlone(waiter, userId, rows);
      return;
    }
    const shared = this.#flights.get(userId);
    const last = shared || fresh || reader.demanded ? undefined : this.#completed.get(userId);
    if (last && last.until > performance.now() && isNewEnough(last.outcome, reader)) {
      waiter.read.settle(waiter.index, last.outcome);
      return;
    }
    if (!shared?.isSent || fresh || (reader.demanded && !shared.demanded)) this.#joinUnsent(waiter, userId, shared);
    else if (shared.followers) shared.followers.push(waiter);
    else shared.followers = [waiter];
  }

  /** Joins a flight whose statement has not been sent, or starts one. */
  #joinUnsent(waiter: Waiter, userId: string, last: Flight | undefined): void {
    const { deadline, readers } = waiter.read;
    const demanded = readers[waiter.index]?.demanded === true;
    if (last && !last.isSent) {
      last.waiters.push(waiter);
      last.demanded ||= demanded;
      last.deadline = Math.max(last.deadline, deadline);
      return;
    }
    if (!this.#hasRoom(deadline, 1)) {
      waiter.read.settle(waiter.index, NO_ROOM);
      return;
    }
    const flight: Flight = {
      ...{ userId, roomTaken: 1, isSent: false, demanded, deadline },
      waiters: [waiter],
      followers: undefined,
    };
    this.#flights.set(userId, flight);
    this.#ask(flight);
  }

  /** Starts a flight that no other reader joins or follows. */
  #askAlone(waiter: Waiter, userId: string, rows: readonly RequestRow[]): void {
    const { deadline } = waiter.read;
    if (this.#hasRoom(deadline, rows.length)) {
      const roomTaken = rows.length;
      this.#ask({ userId, rows, roomTaken, isSent: false, deadline, waiters: [waiter], followers: undefined });
    } else waiter.read.settle(waiter.index, NO_ROOM);
  }

  #remember(userId: string, outcome: LiveOutcome): void {
    const now = performance.now();
    for (const [first, { until }] of this.#completed) {
      if (until > now) break;
      this.#completed.delete(first);
    }
    if (outcome.kind !== 'predicted') return;
    this.#completed.delete(userId);
    this.#completed.set(userId, { outcome, until: now + LINGER_MS });
  }
}

/** Returns whether a reader may accept a result with features that were read before the reader arrived. */
function isNewEnough(outcome: LiveOutcome, reader: LiveReader | undefined): boolean {
  return outcome.kind === 'predicted' && reader !== undefined && outcome.contextVersion >= reader.minVersion;
}
