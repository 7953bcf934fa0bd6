/**
 * Runs the flights of one feature statement: reads features and versions (V1), runs the model (V2), stores the answers
 * (V4). If the query fails for one user, the others are read again without that user. Each smaller statement begins
 * after its readers arrived, so it certifies itself.
 */

import { type Certificate, isErased } from '@tandem/freshness/certificate';
import { TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { InferenceInputs, LiveOutcome, LiveRequest } from '@tandem/freshness/live-predictor';
import type { OnlineOverlayStore, OverlayEntry, PutResult } from '@tandem/freshness/stored-prediction';
import { within } from '@tandem/timing/within';
import { type CertifiedFeatures, type FeatureSource, isOfSomeUser } from '../scoring/feature-source.ts';
import { type Attempted, type HalvingLimits, halveFailing } from '../scoring/halve-failing.ts';
import { type IsolatedScores, scoreIsolating } from '../scoring/isolate-poison.ts';
import type { Scorer } from '../scoring/scoring.ts';
import { asFailure, failureOf, queryFailed, unread } from './live-failures.ts';
import { type Flight, type FlightTable, isFollowed } from './live-flights.ts';
import { callerOf, Outcomes, type PlainRows, rowsToScore } from './statement-rows.ts';
import type { Suspects } from './suspects.ts';

export interface FlightDependencies extends AnswerStores {
  readonly features: FeatureSource;
  readonly scorer: Scorer;
  /** Whether the readers are re-scorings: their stored answers are marked. */
  readonly refreshes?: boolean;
}

/** The state that all flights of one table share. */
interface FlightContext {
  readonly dependencies: FlightDependencies;
  readonly request: LiveRequest;
  readonly table: FlightTable;
  readonly suspects: Suspects;
  /** Called with the room of flights that the scorer now has, or that will never reach it. */
  onHandedOver(roomTaken: number): void;
}

/**
 * Limits the cost of failing statements for the readers of other users. Up to eight users that make the query fail are
 * found, among any number of users. A query that fails for every user costs 16 statements, not thousands.
 */
const LIMITS: HalvingLimits = { budget: 32, brokenAfter: 16, failingMs: 2_000, culprit: 'the feature query' };

/**
 * Runs flights. Resolves when the features have been read: the inference continues while the next statement is sent.
 * Never rejects.
 */
export async function runFlights(flights: readonly Flight[], context: FlightContext): Promise<void> {
  const { suspects } = context;
  for (const flight of flights) flight.isSent = true;
  let hasRead = false;
  const onRead = (read: readonly Flight[]) => {
    hasRead = true;
    suspects.succeeded(read);
  };
  await halveFailing(
    suspects.apart(flights),
    {
      attempt: (part) => send(part, context, onRead),
      giveUp(part, why, isProven) {
        for (const { userId } of isProven ? part : []) suspects.failed(userId);
        fail(part, context, queryFailed(why, isProven));
      },
      hasSuccess: () => hasRead,
    },
    LIMITS,
  );
}

/** Runs one statement. Fails only if fewer users may succeed; any other error is the outcome of all users. */
async function send(
  flights: readonly Flight[],
  context: FlightContext,
  onRead: (flights: readonly Flight[]) => void,
): Promise<Attempted<Flight>> {
  const { dependencies, request, table, onHandedOver } = context;
  const outcomes = new Outcomes();
  let unscored: Iterable<Flight> = flights;
  try {
    const certified = await readFeatures(dependencies, request, flights, outcomes);
    if (certified) {
      onRead(flights);
      unscored = inferAndKeep(context, { certified, flights, outcomes });
    }
  } catch (error) {
    // The log shows the reason of parts that are given up, so the reason must not quote a user's values.
    if (isOfSomeUser(error)) return { failed: error.fault.words, summary: `SQLSTATE ${error.fault.sqlState}` };
    fail(flights, context, asFailure(error));
    return 'done';
  }
  // Before the flights are completed: their followers ask for room at once.
  onHandedOver(roomTakenBy(flights));
  for (const flight of unscored) table.complete(flight, outcomes.of(flight));
  return 'done';
}

/** Completes flights that never reach the scorer. */
function fail(flights: readonly Flight[], { table, onHandedOver }: FlightContext, failure: LiveOutcome): void {
  onHandedOver(roomTakenBy(flights));
  for (const flight of flights) table.complete(flight, failure);
}

function roomTakenBy(flights: readonly Flight[]): number {
  return flights.reduce((sum, { roomTaken }) => sum + roomTaken, 0);
}

function latestOf(flights: readonly Flight[]): number {
  return Math.max(...flights.map(({ deadline }) => deadline));
}

/** Reads the features of all users of these flights in one statement (V1); returns null if no reader waits for them. */
async function readFeatures(
  dependencies: FlightDependencies,
  request: LiveRequest,
  flights: readonly Flight[],
  outcomes: Outcomes,
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
      outcomes.users.set(userId, { kind: 'erased' });
  }
  return certified;
}

/** The flights of one statement, and what it returned. */
interface Statement {
  readonly certified: CertifiedFeatures;
  readonly flights: readonly Flight[];
  readonly outcomes: Outcomes;
}

/**
 * Infers and stores (V2 to V4). The rows of each flight with request features are scored separately, within its own
 * deadline, so that one caller's values cannot affect other answers. The rows of a caller that may disconnect are
 * scored separately, too. They are removed if the caller disconnects, unless another reader follows one of them. The
 * scorer may run separate rows together, and retries them separately if that fails. Each flight is completed as soon as
 * its own rows are scored. Returns the flights without rows to score. The scorer is called within this turn of the
 * event loop.
 */
function inferAndKeep(context: FlightContext, { certified, flights, outcomes }: Statement): ReadonlySet<Flight> {
  const { table } = context;
  const { batch, groups, requests } = rowsToScore(certified, flights, outcomes);
  const features = { batch, certificate: certified.certificate };
  const unscored = new Set(flights);
  for (const { flight, first, count } of requests) {
    unscored.delete(flight);
    const rows = Array.from({ length: count }, (_, i) => first + i);
    void scoreRequest(context, features, flight, rows).then((outcome) => table.complete(flight, outcome));
  }
  for (const group of groups) {
    for (const flight of group.flights) unscored.delete(flight);
    void scorePlain(context, features, group, outcomes).then(() => {
      for (const flight of group.flights) table.complete(flight, outcomes.of(flight));
    });
  }
  return unscored;
}

/** Scores rows with the same readers (V2). */
async function score(
  { dependencies, request }: FlightContext,
  batch: FeatureBatch,
  { rows, flights, caller }: PlainRows,
): Promise<IsolatedScores> {
  const timeoutMs = Math.max(1, latestOf(flights) - performance.now());
  const onGone = caller && ((tell: () => void) => caller.onGone(() => flights.some(isFollowed) || tell()));
  const { version } = request;
  return scoreIsolating(dependencies.scorer, { version, batch, rows, timeoutMs, priority: 'live', onGone });
}

/** Scores the rows of one flight with request features (V2). Never rejects. */
async function scoreRequest(
  context: FlightContext,
  { batch, certificate }: CertifiedFeatures,
  flight: Flight,
  rows: number[],
): Promise<LiveOutcome> {
  try {
    const scores = await score(context, batch, { rows, flights: [flight], caller: callerOf(flight) });
    return { kind: 'rows', rows: rows.map((row) => outcomeOfRow(scores, { batch, row }, certificate)) };
  } catch (error) {
    return asFailure(error);
  }
}

/** Scores rows of users' own features, stores the predictions and sets the outcomes (V2 to V4). Never rejects. */
async function scorePlain(
  context: FlightContext,
  { batch, certificate }: CertifiedFeatures,
  group: PlainRows,
  { plain }: Outcomes,
): Promise<void> {
  const { dependencies, request } = context;
  try {
    const scores = await score(context, batch, group);
    for (const row of scores.faults.keys()) plain.set(batch.userIds[row] ?? '', failureOf(scores, row));
    const scored = [...scores.outputs];
    const demanded = new Set(group.flights.filter((flight) => flight.demanded).map(({ userId }) => userId));
    const entries = scored.map(([row, bytes]): OverlayEntry => {
      const entry = entryOf(request, batch, row, bytes);
      if (demanded.has(entry.userId)) return { ...entry, demanded: true };
      return dependencies.refreshes ? { ...entry, refreshed: true } : entry;
    });
    const results = await keepAnswers(dependencies, entries, latestOf(group.flights));
    entries.forEach(({ userId, outputs, contextVersion, computedAt }, i) => {
      const kept = results[i] === 'kept';
      const inputs = { batch, row: scored[i]?.[0] as number };
      plain.set(userId, { kind: 'predicted', outputs, contextVersion, computedAt, kept, certificate, inputs });
    });
  } catch (error) {
    for (const { userId } of group.flights) plain.set(userId, asFailure(error));
  }
}

/** Returns the result of a row of request features: its prediction is for this reader only, and is not stored. */
function outcomeOfRow(scores: IsolatedScores, inputs: InferenceInputs, certificate: Certificate): LiveOutcome {
  const { batch, row } = inputs;
  const { readAt: computedAt } = batch;
  const outputs = scores.outputs.get(row);
  if (!outputs) return failureOf(scores, row);
  const contextVersion = batch.contextVersions[row] ?? 0;
  return { kind: 'predicted', outputs, contextVersion, computedAt, kept: false, certificate, inputs };
}

/** Splits off users whose readers have all timed out or disconnected: they must not cost a statement. */
function usersInTime(flights: readonly Flight[], outcomes: Outcomes): string[] {
  const now = performance.now();
  const inTime: string[] = [];
  let mayRepeat = false;
  for (const flight of flights) {
    mayRepeat ||= flight.rows !== undefined;
    if (flight.deadline > now && flight.waiters.some(({ read }) => !read.isOver)) inTime.push(flight.userId);
    else outcomes.set(flight, NOT_SENT);
  }
  // A flight with request features and another flight may have the same user.
  return mayRepeat ? [...new Set(inTime)] : inTime;
}

const NOT_SENT: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'live_timeout',
  detail: 'no feature statement could be sent in time',
});

function entryOf(request: LiveRequest, batch: FeatureBatch, row: number, outputs: Buffer): OverlayEntry {
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

// Stores live answers in the overlay, where the next reader looks first, and in Postgres (V4).

interface AnswerStores {
  /** The online overlay. The write is awaited, so that the next read of the user finds the answer. */
  readonly overlay: Pick<OnlineOverlayStore, 'putEach'>;
  /** Writes the copy in Postgres after the answer; entries may be lost. */
  keepLater(entries: readonly OverlayEntry[]): void;
  /** Writes the copy in Postgres before the answer. */
  keepNow(entries: readonly OverlayEntry[]): Promise<void>;
}

/**
 * Stores the predictions for the next readers. A store that hangs gets at most half of the remaining time, so that the
 * answer is still in time. Demanded entries are in Postgres before they are in Redis and before the answer: later
 * certificates name them, so that no process answers with an older prediction from its memory. If that fails, they are not
 * stored at all.
 */
async function keepAnswers(
  { overlay, keepLater, keepNow }: AnswerStores,
  entries: readonly OverlayEntry[],
  deadline: number,
): Promise<readonly PutResult[]> {
  if (entries.length === 0) return [];
  const until = (performance.now() + deadline) / 2;
  const inTime = <T>(store: () => Promise<T>) =>
    within(until - performance.now(), store(), () => new Error('too late'));
  const demanded = entries.filter((entry) => entry.demanded);
  if (demanded.length < entries.length) keepLater(entries.filter((entry) => !entry.demanded));
  if (demanded.length > 0) {
    const isNoted = await inTime(() => keepNow(demanded)).then(
      () => true,
      () => false,
    );
    // No reader may find an answer that a process with an older prediction in memory would not give.
    if (!isNoted) return [];
  }
  return inTime(() => overlay.putEach(entries)).catch(() => []);
}
