/**
 * Live predictions: features and version in one statement begun after the reader arrived, inference with a deadline,
 * then the answer is kept in the overlay for the next reader. Readers of one user share an inference (live-flights.ts).
 */

import { type LiveOutcome, type LivePredictor, type LiveRequest, NO_ROOM } from '@tandem/freshness/live-predictor';
import { createStatementLine } from '@tandem/freshness/statement-line';
import { type Admission, UNBOUNDED } from '../scoring/scoring.ts';
import { type FlightDependencies, fly } from './fly.ts';
import { createGatheredRefusals } from './gathered-refusals.ts';
import { createFlights, type Flight, type Flights, Party } from './live-flights.ts';
import { createReaderDeadlines } from './reader-deadlines.ts';
import { createSuspects } from './suspects.ts';

export interface LivePredictorDependencies extends FlightDependencies {
  /** Who could be inferred in time; everyone, where it is left out. */
  readonly admission?: Admission;
  /** Told of each request that was answered, for metrics: what became of its readers, and how long that took. */
  onAnswered?(request: LiveRequest, outcomes: ReadonlyMap<string, LiveOutcome>, ms: number): void;
  /** For how many ms refusals wait for each other, so that telling them costs less (gathered-refusals.ts). */
  readonly refusalPatienceMs?: number | undefined;
  /** Feature statements under way at once. */
  readonly maxStatements?: number;
}

const MAX_USERS_A_STATEMENT = 1_000;
/** What the live reads of a moment wait for each other at most: the fuller a statement, the less it costs each of them. */
const PATIENCE_MS = 1;
/** Places change with rollouts only; a handful is kept so that none of the past is. */
const MAX_PLACES = 64;

export function createLivePredictor(dependencies: LivePredictorDependencies): LivePredictor {
  const { maxStatements = 2, onAnswered, admission = UNBOUNDED } = dependencies;
  // Where answers are computed for and kept under: a model version, a history, a floor. Others share nothing with it.
  const places = new Map<string, Flights>();
  const deadlines = createReaderDeadlines();
  const refusals = createGatheredRefusals(dependencies.refusalPatienceMs);
  /** Users who were admitted, and of whom the scorer does not know yet. */
  const boarding = { users: 0 };
  let last: { readonly request: LiveRequest; readonly place: Flights } | undefined;

  /** Mostly that of the request before, for which no key need be made. */
  function placeOf(request: LiveRequest): Flights {
    if (!last || !isSamePlace(last.request, request)) last = { request, place: findPlace(request) };
    return last.place;
  }

  function findPlace(request: LiveRequest): Flights {
    const key = `${request.version.id}/${request.history}/${request.assignment.overlayFloor}`;
    const known = places.get(key);
    if (known) return known;
    if (places.size >= MAX_PLACES) places.delete(places.keys().next().value ?? '');
    const suspects = createSuspects();
    const line = createStatementLine<Flight>({
      send: (flights) => fly(flights, { dependencies, request, place, suspects, leaveBoarding }),
      maxInFlight: maxStatements,
      maxWeight: MAX_USERS_A_STATEMENT,
      patienceMs: PATIENCE_MS,
    });
    const admits = (deadline: number) => admission.room(request.version, deadline - performance.now()) > boarding.users;
    const place = createFlights((flight) => {
      boarding.users++;
      line.add(flight);
    }, admits);
    places.set(key, place);
    return place;
  }

  function leaveBoarding(users: number): void {
    boarding.users -= users;
  }

  return {
    predict(request) {
      if (!request.enabled || request.readers.length === 0) return Promise.resolve(new Map());
      return new Promise((resolve) => {
        const askedAt = performance.now();
        const party = new Party(request.readers, askedAt + request.timeoutMs, () => {
          deadlines.remove(party);
          const outcomes = outcomesOf(party, request);
          const tell = () => {
            resolve(outcomes);
            onAnswered?.(request, outcomes, performance.now() - askedAt);
          };
          if (party.outcomes.every(isNoRoom)) refusals.add(tell, request.timeoutMs);
          else tell();
        });
        deadlines.add(party, request.timeoutMs);
        placeOf(request).board(party);
      });
    },
  };
}

function isSamePlace(one: LiveRequest, other: LiveRequest): boolean {
  return (
    one.version.id === other.version.id &&
    one.history === other.history &&
    one.assignment.overlayFloor === other.assignment.overlayFloor
  );
}

function isNoRoom(outcome: LiveOutcome | undefined): boolean {
  return outcome === NO_ROOM;
}

function outcomesOf({ outcomes }: Party, request: LiveRequest): Map<string, LiveOutcome> {
  const byUser = new Map<string, LiveOutcome>();
  for (const [i, { userId }] of request.readers.entries()) byUser.set(userId, outcomes[i] ?? late(request));
  return byUser;
}

function late({ timeoutMs }: LiveRequest): LiveOutcome {
  return { kind: 'failed', reason: 'live_timeout', detail: `no answer within ${timeoutMs} ms` };
}
