/**
 * Live predictions: features and version in one statement begun after the reader arrived, inference with a deadline,
 * then the answer is kept in the overlay for the next reader.
 *
 * Readers of one user share an inference (a flight). Whoever comes while its statement has not been sent may join as if
 * they had asked first; whoever comes later takes its result only where the label is at least their own version.
 */
import type { Assignment } from './certificate.ts';
import { isErased } from './certificate.ts';
import { isTandemError, TandemError } from './errors.ts';
import type { CertifiedFeatures, FeatureSource } from './feature-source.ts';
import { scoreIsolating } from './isolate-poison.ts';
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

export type LiveOutcome =
  | {
      readonly kind: 'predicted';
      readonly outputs: Buffer;
      readonly contextVersion: number;
      readonly computedAt: number;
      readonly kept: boolean;
    }
  | { readonly kind: 'no_features' }
  | { readonly kind: 'erased' }
  | {
      readonly kind: 'failed';
      readonly reason: 'live_failed' | 'live_timeout' | 'overloaded';
      readonly detail: string;
    };

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
  isSent(): boolean;
  /** Another reader waits for it, until then. */
  join(deadline: number): void;
  readonly outcome: Promise<LiveOutcome>;
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
const NO_FEATURES: LiveOutcome = Object.freeze({ kind: 'no_features' });

export function createLivePredictor(dependencies: LivePredictorDependencies): LivePredictor {
  const { maxStatements = 2 } = dependencies;
  const flights = new Map<string, Flight>();
  const askers = new Map<string, (question: Question, onSent: () => void) => Promise<Boarded>>();

  /** One batcher for each place that answers are computed for and kept under. */
  function askerFor(request: LiveRequest) {
    const key = placeKey(request);
    const known = askers.get(key);
    if (known) return known;
    // Places change with rollouts only; a handful is kept so that none of the past is.
    if (askers.size >= 64) askers.delete(askers.keys().next().value ?? '');
    const asker = createStatementBatcher<Question, Boarded>({
      send: (questions) => board(dependencies, request, questions),
      maxInFlight: maxStatements,
      maxWeight: MAX_USERS_A_STATEMENT,
    });
    askers.set(key, asker);
    return asker;
  }

  function takeOff(request: LiveRequest, userId: string, deadline: number): Flight {
    const key = `${placeKey(request)}/${userId}`;
    let sent = false;
    const question: Question = { userId, deadline };
    const boarded = askerFor(request)(question, () => {
      sent = true;
    });
    const outcome = boarded
      .then(({ landing }) => landing)
      .then((outcomes) => outcomes.get(userId) ?? NO_FEATURES, asFailure)
      .finally(() => {
        if (flights.get(key) === flight) flights.delete(key);
      });
    const join = (until: number) => {
      question.deadline = Math.max(question.deadline, until);
    };
    const flight: Flight = { isSent: () => sent, join, outcome };
    flights.set(key, flight);
    return flight;
  }

  async function predictOne(request: LiveRequest, reader: LiveReader, deadline: number): Promise<LiveOutcome> {
    const key = `${placeKey(request)}/${reader.userId}`;
    const shared = flights.get(key);
    if (shared && (!shared.isSent() || !reader.fresh)) {
      const joinedInTime = !shared.isSent();
      if (joinedInTime) shared.join(deadline);
      const outcome = await shared.outcome;
      if (joinedInTime || (outcome.kind === 'predicted' && outcome.contextVersion >= reader.minVersion)) return outcome;
    }
    const waiting = flights.get(key);
    if (!waiting || waiting.isSent()) return takeOff(request, reader.userId, deadline).outcome;
    waiting.join(deadline);
    return waiting.outcome;
  }

  return {
    async predict(request) {
      if (!request.enabled) return new Map();
      const deadline = performance.now() + request.timeoutMs;
      const { promise: late, cancel } = timeout(request.timeoutMs);
      const pairs = await Promise.all(
        request.readers.map(async (reader) => {
          const outcome = await Promise.race([predictOne(request, reader, deadline), late]);
          return [reader.userId, outcome] as const;
        }),
      );
      cancel();
      return new Map(pairs);
    },
  };
}

function placeKey({ version, history, assignment }: LiveRequest): string {
  return `${version.id}/${history}/${assignment.overlayFloor}`;
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
  const certified = await dependencies.features.readUsers(request.version, userIds);
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
    const reason = scores.overloaded.has(row) ? 'overloaded' : 'live_failed';
    outcomes.set(certified.batch.userIds[row] ?? '', { kind: 'failed', reason, detail });
  }
  const results = await keep(dependencies, entries, deadline);
  entries.forEach(({ userId, outputs, contextVersion, computedAt }, i) => {
    outcomes.set(userId, { kind: 'predicted', outputs, contextVersion, computedAt, kept: results[i] === 'kept' });
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
  const timer = setTimeout(resolve, (deadline - performance.now()) / 2, []);
  overlay.putEach(entries).then(resolve, () => resolve([]));
  return promise.finally(() => clearTimeout(timer));
}

function asFailure(error: unknown): LiveOutcome {
  if (isTandemError(error, 'live_timeout', 'overloaded')) {
    return {
      kind: 'failed',
      reason: error.code === 'overloaded' ? 'overloaded' : 'live_timeout',
      detail: error.message,
    };
  }
  return { kind: 'failed', reason: 'live_failed', detail: error instanceof Error ? error.message : String(error) };
}

function timeout(ms: number): { promise: Promise<LiveOutcome>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<LiveOutcome>();
  const timer = setTimeout(
    () => resolve({ kind: 'failed', reason: 'live_timeout', detail: `no answer within ${ms} ms` }),
    ms,
  );
  return { promise, cancel: () => clearTimeout(timer) };
}
