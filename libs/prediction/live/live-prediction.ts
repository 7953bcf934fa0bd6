/**
 * Live predictions: features and version in one statement begun after the reader arrived, inference with a deadline,
 * then the answer is kept in the overlay for the next reader. Readers of one user share an inference (live-flights.ts).
 */
import type { Assignment } from '../certificate.ts';
import { isErased } from '../certificate.ts';
import { TandemError } from '../errors.ts';
import type { CertifiedFeatures, FeatureSource } from '../models/feature-source.ts';
import { type Admission, type Scorer, UNBOUNDED } from '../models/scoring.ts';
import type { ModelVersion } from '../predictor.ts';
import { scoreIsolating } from '../runs/isolate-poison.ts';
import { createStatementLine } from '../statements/statement-line.ts';
import type { OverlayEntry } from '../stored-prediction.ts';
import { createGatheredRefusals } from './gathered-refusals.ts';
import { type AnswerStores, keep } from './keep-answers.ts';
import { createFlights, type Flight, type Flights, type LiveReader, Party } from './live-flights.ts';
import {
  asFailure,
  failureOf,
  type LiveOutcome,
  NO_FEATURES,
  NO_ROOM,
  unread,
  unusableFeatures,
} from './live-outcome.ts';
import { createReaderDeadlines } from './reader-deadlines.ts';

export type { LiveReader } from './live-flights.ts';

export interface LiveRequest {
  readonly version: ModelVersion;
  readonly assignment: Assignment;
  readonly history: string;
  readonly timeoutMs: number;
  /** Whether the predictor infers live at all. */
  readonly enabled: boolean;
  readonly readers: readonly LiveReader[];
}

export interface LivePredictor {
  /** An outcome for each reader; empty where live inference is switched off. Never rejects. */
  predict(request: LiveRequest): Promise<ReadonlyMap<string, LiveOutcome>>;
}

export interface LivePredictorDependencies extends AnswerStores {
  readonly features: FeatureSource;
  readonly scorer: Scorer;
  /** Who could be inferred in time; everyone, where it is left out. */
  readonly admission?: Admission;
  /** Told of each request that was answered, for metrics: what became of its readers, and how long that took. */
  onAnswered?(request: LiveRequest, outcomes: ReadonlyMap<string, LiveOutcome>, ms: number): void;
  /** For how many ms refusals wait for each other, so that telling them costs less (gathered-refusals.ts). */
  readonly refusalPatienceMs?: number | undefined;
  /** Feature statements under way at once. */
  readonly maxStatements?: number;
}

/** What one statement and one inference gave, by user. */
type Landing = Map<string, LiveOutcome>;

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
    const line = createStatementLine<Flight>({
      send: (flights) => fly(dependencies, request, flights, place, leaveBoarding(flights.length)),
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

  /** To be called when these users are with the scorer, or come there no more; the first call counts. */
  function leaveBoarding(users: number): () => void {
    let left = users;
    return () => {
      boarding.users -= left;
      left = 0;
    };
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

/** Resolves when the features have been read: the inference goes on while the next statement leaves. Never rejects. */
async function fly(
  dependencies: LivePredictorDependencies,
  request: LiveRequest,
  flights: readonly Flight[],
  place: Flights,
  leaveBoarding: () => void,
): Promise<void> {
  for (const flight of flights) flight.isSent = true;
  const deadline = Math.max(...flights.map((flight) => flight.deadline));
  const fail = (error: unknown) => {
    leaveBoarding();
    const failure = asFailure(error);
    for (const flight of flights) place.land(flight, failure);
  };
  try {
    const outcomes: Landing = new Map();
    const certified = await readFeatures(dependencies, request, flights, outcomes);
    const landing = inferAndKeep(dependencies, request, certified, deadline, outcomes);
    // It has asked the scorer by now, or has nothing to ask.
    leaveBoarding();
    void landing
      .then(() => {
        for (const flight of flights) place.land(flight, outcomes.get(flight.userId) ?? NO_FEATURES);
      })
      .catch(fail);
  } catch (error) {
    fail(error);
  }
}

/** V1 for all the users of one statement; null where nobody waits for it any more. */
async function readFeatures(
  dependencies: LivePredictorDependencies,
  request: LiveRequest,
  flights: readonly Flight[],
  outcomes: Landing,
): Promise<CertifiedFeatures | null> {
  const userIds = usersInTime(flights, outcomes);
  if (userIds.length === 0) return null;
  const certified = await dependencies.features
    .readUsers(request.version, userIds, 'with rows')
    .catch((error: unknown) => {
      throw unread(error);
    });
  if (certified.certificate.history !== request.history) {
    throw new TandemError('live_failed', 'the history of the database changed during the read');
  }
  for (const userId of userIds) {
    if (isErased(certified.certificate.user(userId, request.version.predictor)))
      outcomes.set(userId, { kind: 'erased' });
  }
  return certified;
}

/** V2 to V4. */
async function inferAndKeep(
  dependencies: LivePredictorDependencies,
  request: LiveRequest,
  certified: CertifiedFeatures | null,
  deadline: number,
  outcomes: Landing,
): Promise<void> {
  const rows = certified ? rowsToScore(certified, outcomes) : [];
  if (!certified || rows.length === 0) return;
  const { certificate } = certified;
  const scores = await scoreIsolating(dependencies.scorer, {
    version: request.version,
    batch: certified.batch,
    rows,
    timeoutMs: Math.max(1, deadline - performance.now()),
    priority: 'live',
  });
  const entries: OverlayEntry[] = [];
  const { batch } = certified;
  const scored: number[] = [];
  for (const [row, bytes] of scores.outputs) {
    scored.push(row);
    entries.push(entryOf(request, certified, row, bytes));
  }
  for (const row of scores.faults.keys()) {
    outcomes.set(batch.userIds[row] ?? '', failureOf(scores, row));
  }
  const results = await keep(dependencies, entries, deadline);
  entries.forEach(({ userId, outputs, contextVersion, computedAt }, i) => {
    const kept = results[i] === 'kept';
    const inputs = { batch, row: scored[i] as number };
    outcomes.set(userId, { kind: 'predicted', outputs, contextVersion, computedAt, kept, certificate, inputs });
  });
}

/** Splits off those whose readers have all given up: under overload a late one must not cost a statement. */
function usersInTime(flights: readonly Flight[], outcomes: Landing): string[] {
  const now = performance.now();
  const inTime: string[] = [];
  for (const { userId, deadline } of flights) {
    if (deadline > now) inTime.push(userId);
    else
      outcomes.set(userId, {
        kind: 'failed',
        reason: 'live_timeout',
        detail: 'no feature statement could be sent in time',
      });
  }
  return inTime;
}

/** The rows that can be inferred; the others' outcomes are set. */
function rowsToScore({ batch }: CertifiedFeatures, outcomes: Landing): number[] {
  const rows: number[] = [];
  batch.userIds.forEach((userId, row) => {
    const fault = batch.faults.get(row);
    if (outcomes.get(userId)?.kind === 'erased') return;
    if (fault !== undefined) outcomes.set(userId, unusableFeatures(fault, batch.unusable.get(row) ?? []));
    else rows.push(row);
  });
  return rows;
}

function entryOf(request: LiveRequest, { batch }: CertifiedFeatures, row: number, outputs: Buffer): OverlayEntry {
  return {
    predictor: request.version.predictor,
    userId: batch.userIds[row] ?? '',
    modelVersionId: request.version.id,
    history: request.history,
    overlayFloor: request.assignment.overlayFloor,
    contextVersion: batch.contextVersions[row] ?? 0,
    source: 'live',
    computedAt: batch.readAt,
    outputs,
  };
}

function late({ timeoutMs }: LiveRequest): LiveOutcome {
  return { kind: 'failed', reason: 'live_timeout', detail: `no answer within ${timeoutMs} ms` };
}
