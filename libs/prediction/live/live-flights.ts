/**
 * Who shares an inference with whom. A flight is one user's way through a feature statement and a run of the model.
 * Whoever comes while its statement has not been sent may join as if they had asked first, and takes what comes; whoever
 * comes later follows it, and takes its result only where the label is at least their own version; whoever demands an
 * inference of now joins only what has not been sent.
 *
 * Plain callbacks and one promise a read: with promises and a timer for each reader the sharing cost more than a
 * reader's part of the statement.
 */
import { type LiveOutcome, type LiveReader, NO_ROOM } from '@tandem/freshness/live-predictor';
import type { Timed } from './live-prediction.ts';

/** The readers of one request, who are answered together. A class, since there is one for each read. */
export class Party implements Timed {
  readonly readers: readonly LiveReader[];
  readonly deadline: number;
  /** By place among the readers; undefined for those whom nothing has come for. */
  readonly outcomes: (LiveOutcome | undefined)[];
  index = -1;
  isOver = false;
  #missing: number;
  readonly #done: () => void;

  /** @param done called once: when every reader has an outcome, or at the deadline, whichever comes first */
  constructor(readers: readonly LiveReader[], deadline: number, done: () => void) {
    this.readers = readers;
    this.deadline = deadline;
    this.outcomes = readers.map(() => undefined);
    this.#missing = readers.length;
    this.#done = done;
  }

  /** Takes what came for a reader, by place; of a party that is over it is nobody's. */
  take(reader: number, outcome: LiveOutcome): void {
    if (this.isOver || this.outcomes[reader]) return;
    this.outcomes[reader] = outcome;
    if (--this.#missing === 0) this.end();
  }

  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#done();
  }
}

export interface Flight {
  readonly userId: string;
  /** Whether its feature statement has left. */
  isSent: boolean;
  /** Of the last of those who take what comes, on performance.now()'s clock. */
  deadline: number;
  /** Those who take what comes, whatever its label. */
  readonly passengers: Seat[];
  /** Those who came after it was sent. */
  followers: Seat[] | undefined;
}

interface Seat {
  readonly party: Party;
  /** Its place among the readers of the party. */
  readonly reader: number;
}

interface Landed {
  readonly outcome: LiveOutcome;
  readonly until: number;
}

/**
 * How long a landed flight may still be taken, by the followers' rule. Of a crowd that came together, some have looked
 * into the overlay before it was kept there, and ask after it has landed: each such moment would cost another inference.
 */
const LINGER_MS = 250;

export interface Flights {
  /** Gets an outcome for each reader of the party, sooner or later. */
  board(party: Party): void;
  /** Ends a flight that was sent. */
  land(flight: Flight, outcome: LiveOutcome): void;
}

/**
 * @param ask puts a flight in the line for the next feature statement, which marks it as sent and lands it
 * @param admits whether one more flight would land by a deadline. Whom it refuses is answered at once; to share a flight
 * costs nothing, and is refused to nobody.
 */
export function createFlights(
  ask: (flight: Flight) => void,
  admits: (deadline: number) => boolean = () => true,
): Flights {
  /** Of each user the last that was asked for. */
  const flights = new Map<string, Flight>();
  /** Of late, for those who looked into the overlay before it was there; in the order of landing. */
  const landed = new Map<string, Landed>();

  function follow(seat: Seat, reader: LiveReader): void {
    const { userId, fresh } = reader;
    const shared = flights.get(userId);
    const last = shared || fresh ? undefined : landed.get(userId);
    if (last && last.until > performance.now() && isNewEnough(last.outcome, reader)) {
      seat.party.take(seat.reader, last.outcome);
      return;
    }
    if (!shared?.isSent || fresh) join(seat, userId, shared);
    else if (shared.followers) shared.followers.push(seat);
    else shared.followers = [seat];
  }

  /** Takes a seat in a flight that has not been sent. */
  function join(seat: Seat, userId: string, last: Flight | undefined): void {
    const { deadline } = seat.party;
    if (last && !last.isSent) {
      last.passengers.push(seat);
      last.deadline = Math.max(last.deadline, deadline);
      return;
    }
    if (!admits(deadline)) {
      seat.party.take(seat.reader, NO_ROOM);
      return;
    }
    const flight: Flight = { userId, isSent: false, deadline, passengers: [seat], followers: undefined };
    flights.set(userId, flight);
    ask(flight);
  }

  function remember(userId: string, outcome: LiveOutcome): void {
    const now = performance.now();
    for (const [first, { until }] of landed) {
      if (until > now) break;
      landed.delete(first);
    }
    if (outcome.kind !== 'predicted') return;
    landed.delete(userId);
    landed.set(userId, { outcome, until: now + LINGER_MS });
  }

  return {
    board(party) {
      for (const [i, reader] of party.readers.entries()) follow({ party, reader: i }, reader);
    },
    land(flight, outcome) {
      const { userId, passengers, followers } = flight;
      if (flights.get(userId) === flight) flights.delete(userId);
      remember(userId, outcome);
      for (const { party, reader } of passengers) party.take(reader, outcome);
      if (!followers) return;
      for (const seat of followers) {
        const { party, reader } = seat;
        if (party.isOver) continue;
        if (isNewEnough(outcome, party.readers[reader])) party.take(reader, outcome);
        else join(seat, userId, flights.get(userId));
      }
    },
  };
}

/** Whether a reader may take what was computed from features that were read before it came. */
function isNewEnough(outcome: LiveOutcome, reader: LiveReader | undefined): boolean {
  return outcome.kind === 'predicted' && reader !== undefined && outcome.contextVersion >= reader.minVersion;
}
