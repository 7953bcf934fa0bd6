/**
 * Re-scores users of one predictor: reads them like any read, with a separate live predictor. The certificate decides
 * which users are stale; a user with a fresh stored prediction is done. The live use case labels and stores the
 * inferred answers. No caller gets these answers.
 */
import { TandemError } from '@tandem/freshness/errors';
import { type LiveOutcome, type LivePredictor, type LiveRequest, NO_ROOM } from '@tandem/freshness/live-predictor';
import type { ModelVersion, Policy, Predictor } from '@tandem/freshness/predictor';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { createPredictionReader, type PredictionReaderDependencies } from '@tandem/freshness/reader';
import { namesWithoutDefault } from '@tandem/freshness/request-features';

/**
 * The result for a user. `inferred`; `taken_out`: no inference was needed or possible (the stored prediction is fresh,
 * or none can be stored); `waiting`: the user's window is taken; `erased`; `failed`.
 */
export type RefreshOutcome = 'inferred' | 'taken_out' | 'waiting' | 'erased' | 'failed';

/** Port: the windows in which a user of a predictor is re-scored once, whichever worker does it. */
export interface RefreshWindows {
  /**
   * Takes a window of this many ms for each user. Returns for each 0 if the window was free, else the ms until it is
   * free.
   */
  take(predictor: string, userIds: readonly string[], forMs: number): Promise<readonly number[]>;
}

export interface RefreshPassDependencies
  extends Pick<PredictionReaderDependencies, 'authority' | 'registry' | 'online' | 'lostPast'> {
  readonly offline: PredictionReaderDependencies['offline'];
  /** The live predictor. It marks its answers as re-scored. */
  readonly live: LivePredictor;
  readonly windows: RefreshWindows;
}

export interface RefreshedUser {
  readonly outcome: RefreshOutcome;
  /** For a waiting user: the ms until the window is free. */
  readonly waitMs?: number;
}

const WITHIN_MS = 2_000;
/**
 * The time limit of a pass. No caller waits for it, but a model or query that hangs must not delay later passes for
 * long.
 */
const PASS_MS = 5_000;

/**
 * Returns the window of a predictor in ms; null if it is not re-scored, has no events, or does not infer live.
 * @param version the stable arm's version; if it needs request features, nothing can be stored
 */
export function refreshWindowMs(
  { freshness }: Pick<Policy, 'freshness'>,
  version: Pick<ModelVersion, 'request'> | undefined,
): number | null {
  const { live, events, refresh } = freshness;
  if (!live || events.length === 0 || refresh === null) return null;
  if (version && namesWithoutDefault(version).length > 0) return null;
  return refresh?.withinMs ?? WITHIN_MS;
}

/** Re-scores users, and returns the result of each. Never rejects. */
export async function refreshUsers(
  { live, windows, ...stores }: RefreshPassDependencies,
  { name, policy }: Predictor,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, RefreshedUser>> {
  const outcomes = new Map<string, RefreshedUser>();
  const rescoring = inWindows(live, windows, policy.freshness.refresh?.withinMs ?? WITHIN_MS, outcomes);
  const read = createPredictionReader({ ...stores, live: rescoring });
  const results = await read(name, userIds, PLAIN_READ).catch(() => []);
  for (const [i, userId] of userIds.entries()) {
    if (outcomes.has(userId)) continue;
    const result = results[i];
    if (result === undefined) outcomes.set(userId, { outcome: 'failed' });
    else if (result instanceof TandemError) outcomes.set(userId, { outcome: errorOutcome(result) });
    else outcomes.set(userId, { outcome: result.source === 'stale' ? 'failed' : 'taken_out' });
  }
  return outcomes;
}

/**
 * Returns the outcome of an error. An unknown user was erased or never scored. For an arm that needs request features
 * nothing can be stored.
 */
function errorOutcome({ code }: TandemError): RefreshOutcome {
  if (code === 'request_features_required') return 'taken_out';
  return code === 'unknown_user' ? 'erased' : 'failed';
}

/** Returns a live predictor that infers only users with free windows, and records each user's outcome. */
function inWindows(
  live: LivePredictor,
  windows: RefreshWindows,
  windowMs: number,
  outcomes: Map<string, RefreshedUser>,
): LivePredictor {
  return {
    async predict(request: LiveRequest) {
      const { readers, version } = request;
      const userIds = readers.map(({ userId }) => userId);
      const waits = await windows.take(version.predictor, userIds, windowMs).catch(() => []);
      const free = readers.filter((_reader, i) => waits[i] === 0);
      const found = await live.predict({ ...request, readers: free, timeoutMs: PASS_MS });
      const answers = new Map<string, LiveOutcome>();
      for (const [i, userId] of userIds.entries()) {
        const answer = found.get(userId) ?? NO_ROOM;
        answers.set(userId, answer);
        outcomes.set(userId, refreshedUser(answer, waits[i]));
      }
      return answers;
    },
  };
}

/**
 * Returns the result for a user from the outcome of live inference.
 * @param waitMs the wait for the user's window; undefined if Redis did not answer
 */
function refreshedUser(answer: LiveOutcome, waitMs: number | undefined): RefreshedUser {
  if (waitMs !== undefined && waitMs > 0) return { outcome: 'waiting', waitMs };
  if (answer.kind === 'predicted') return { outcome: 'inferred' };
  return { outcome: answer.kind === 'erased' || answer.kind === 'no_features' ? 'erased' : 'failed' };
}
