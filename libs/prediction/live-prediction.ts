/**
 * Live predictions: features and version in one statement begun after the reader arrived, inference with a deadline,
 * then the answer is kept in the overlay for the next reader.
 *
 * Readers of one user share an inference (a flight). Whoever comes while its statement has not been sent may join as if
 * they had asked first; whoever comes later takes its result only where the label is at least their own version.
 */
import type { Assignment } from './certificate.ts';
import { isErased } from './certificate.ts';
import { TandemError } from './errors.ts';
import type { CertifiedFeatures, FeatureSource } from './feature-source.ts';
import { scoreIsolating } from './isolate-poison.ts';
import { asFailure, type LiveOutcome, NO_FEATURES, reasonOf, unread } from './live-outcome.ts';
import type { ModelVersion } from './predictor.ts';
import type { Scorer } from './scoring.ts';
import { createStatementBatcher } from './statement-batcher.ts';
import type { OnlineOverlayStore, OverlayEntry, PutResult } from './stored-prediction.ts';

export interface LiveReader {
  readonly userId: string;
  /** The least label that this reader may take. */
  readonly minVersion: number;
  /** `no-cache`: only a statement sent after this reader came will do. */
  readonly fresh: boolean;
}

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

export interface LivePredictorDependencies {
  readonly features: FeatureSource;
  readonly scorer: Scorer;
  /** Awaited: the next read of the same user should find the answer. */
  readonly overlay: Pick<OnlineOverlayStore, 'putEach'>;
  /** The lasting copy: written after the answer, and may lose entries. */
  keepLater(entries: readonly OverlayEntry[]): void;
  /** Feature statements under way at once. */
  readonly maxStatements?: number;
}

interface Flight {
  /** Whether its feature statement has left. */
  isSent: boolean;
  readonly question: Question;
  readonly outcome: Promise<LiveOutcome>;
}

/** Where answers are computed for and kept under: a model version, a history and a floor. Others share nothing with it. */
interface Place {
  /** By user. */
  readonly flights: Map<string, Flight>;
  ask(question: Question, onSent: () => void): Promise<Boarded>;
}

/** What one statement and one inference gave, shared by all who were in it. */
type Landing = ReadonlyMap<string, LiveOutcome>;

/** A statement that was answered: its inference goes on while the next statement leaves. */
interface Boarded {
  readonly landing: Promise<Landing>;
}

interface Question {
  readonly userId: string;
  /** Of the last of its readers, on performance.now()'s clock. */
  deadline: number;
}

const MAX_USERS_A_STATEMENT = 1_000;
/** What the live reads of a moment wait for each other at most: the fuller a statement, the less it costs each of them. */
const PATIENCE_MS = 1;
/** Places change with rollouts only; a handful is kept so that none of the past is. */
const MAX_PLACES = 64;

export function createLivePredictor(dependencies: LivePredictorDependencies): LivePredictor {
  const { maxStatements = 2 } = dependencies;
  const places = new Map<string, Place>();

  function placeOf(request: LiveRequest): Place {
    const key = `${request.version.id}/${request.history}/${request.assignment.overlayFloor}`;
    const known = places.get(key);
    if (known) return known;
    if (places.size >= MAX_PLACES) places.delete(places.keys().next().value ?? '');
    const ask = createStatementBatcher<Question, Boarded>({
      send: (questions) => board(dependencies, request, questions),
      maxInFlight: maxStatements,
      maxWeight: MAX_USERS_A_STATEMENT,
      patienceMs: PATIENCE_MS,
    });
    const place = { flights: new Map(), ask };
    places.set(key, place);
    return place;
  }

  return {
    async predict(request) {
      if (!request.enabled) return new Map();
      const place = placeOf(request);
      const deadline = performance.now() + request.timeoutMs;
      const outcomes = new Map<string, LiveOutcome>();
      const each = request.readers.map(async (reader) => {
        outcomes.set(reader.userId, await predictOne(place, reader, deadline));
      });
      await withinTime(each.length === 1 ? each[0] : Promise.all(each), request.timeoutMs);
      // A map of its own: what comes later is none of this caller's.
      return new Map(request.readers.map(({ userId }) => [userId, outcomes.get(userId) ?? late(request)]));
    },
  };
}

async function predictOne(place: Place, reader: LiveReader, deadline: number): Promise<LiveOutcome> {
  const { userId, fresh, minVersion } = reader;
  const shared = place.flights.get(userId);
  if (shared?.isSent && !fresh) {
    const outcome = await shared.outcome;
    if (outcome.kind === 'predicted' && outcome.contextVersion >= minVersion) return outcome;
  }
  const waiting = place.flights.get(userId);
  if (!waiting || waiting.isSent) return takeOff(place, { userId, deadline }).outcome;
  waiting.question.deadline = Math.max(waiting.question.deadline, deadline);
  return waiting.outcome;
}

function takeOff({ flights, ask }: Place, question: Question): Flight {
  const boarded = ask(question, () => {
    flight.isSent = true;
  });
  const flight: Flight = { isSent: false, question, outcome: outcomeOf(boarded, question.userId, landed) };
  flights.set(question.userId, flight);
  function landed(): void {
    if (flights.get(question.userId) === flight) flights.delete(question.userId);
  }
  return flight;
}

async function outcomeOf(boarded: Promise<Boarded>, userId: string, landed: () => void): Promise<LiveOutcome> {
  try {
    const { landing } = await boarded;
    return (await landing).get(userId) ?? NO_FEATURES;
  } catch (error) {
    return asFailure(error);
  } finally {
    landed();
  }
}

/** Resolves with the work, or when the time is over. */
function withinTime(work: Promise<unknown> | undefined, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, timeoutMs);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    if (work) work.then(done, reject);
    else done();
  });
}

/** V1 for all the users of one statement. */
async function board(
  dependencies: LivePredictorDependencies,
  request: LiveRequest,
  questions: readonly Question[],
): Promise<Boarded> {
  const outcomes = new Map<string, LiveOutcome>();
  const userIds = usersInTime(questions, outcomes);
  if (userIds.length === 0) return { landing: Promise.resolve(outcomes) };
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
  const deadline = Math.max(...questions.map((question) => question.deadline));
  return { landing: land(dependencies, request, certified, deadline, outcomes) };
}

/** V2 to V4. */
async function land(
  dependencies: LivePredictorDependencies,
  request: LiveRequest,
  certified: CertifiedFeatures,
  deadline: number,
  outcomes: Map<string, LiveOutcome>,
): Promise<Landing> {
  const { certificate } = certified;
  const rows = rowsToScore(certified, outcomes);
  if (rows.length === 0) return outcomes;
  const scores = await scoreIsolating(dependencies.scorer, {
    version: request.version,
    batch: certified.batch,
    rows,
    timeoutMs: Math.max(1, deadline - performance.now()),
    priority: 'live',
  });
  const entries: OverlayEntry[] = [];
  for (const [row, bytes] of scores.outputs) entries.push(entryOf(request, certified, row, bytes));
  for (const [row, detail] of scores.faults) {
    outcomes.set(certified.batch.userIds[row] ?? '', { kind: 'failed', reason: reasonOf(scores, row), detail });
  }
  const results = await keep(dependencies, entries, deadline);
  entries.forEach(({ userId, outputs, contextVersion, computedAt }, i) => {
    const kept = results[i] === 'kept';
    outcomes.set(userId, { kind: 'predicted', outputs, contextVersion, computedAt, kept, certificate });
  });
  return outcomes;
}

/** Splits off those whose readers have all given up: under overload a late one must not cost a statement. */
function usersInTime(questions: readonly Question[], outcomes: Map<string, LiveOutcome>): string[] {
  const now = performance.now();
  const inTime = new Set<string>();
  for (const { userId, deadline } of questions) {
    if (deadline > now) inTime.add(userId);
    else
      outcomes.set(userId, {
        kind: 'failed',
        reason: 'live_timeout',
        detail: 'no feature statement could be sent in time',
      });
  }
  return [...inTime];
}

/** The rows that can be inferred; the others' outcomes are set. */
function rowsToScore({ batch }: CertifiedFeatures, outcomes: Map<string, LiveOutcome>): number[] {
  const rows: number[] = [];
  batch.userIds.forEach((userId, row) => {
    const fault = batch.faults.get(row);
    if (outcomes.get(userId)?.kind === 'erased') return;
    if (fault !== undefined) outcomes.set(userId, { kind: 'failed', reason: 'live_failed', detail: fault });
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

/** What the next reader will find. A store that hangs has half of the time left: an answer is worth more. */
async function keep(
  { overlay, keepLater }: LivePredictorDependencies,
  entries: readonly OverlayEntry[],
  deadline: number,
): Promise<readonly PutResult[]> {
  if (entries.length === 0) return [];
  keepLater(entries);
  const { promise, resolve } = Promise.withResolvers<readonly PutResult[]>();
  const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()) / 2, []);
  overlay.putEach(entries).then(resolve, () => resolve([]));
  return promise.finally(() => clearTimeout(timer));
}

function late({ timeoutMs }: LiveRequest): LiveOutcome {
  return { kind: 'failed', reason: 'live_timeout', detail: `no answer within ${timeoutMs} ms` };
}
