/**
 * Re-scores users of one predictor by reading them as any read does, over a separate live predictor. The certificate
 * decides which users are stale: a fresh stored prediction ends the user's turn. Inferred answers are labelled and
 * stored by the live use case. No caller gets these answers.
 */
import { TandemError } from '@tandem/freshness/errors';
import { type LiveOutcome, type LivePredictor, type LiveRequest, NO_ROOM } from '@tandem/freshness/live-predictor';
import type { ModelVersion, Policy, Predictor } from '@tandem/freshness/predictor';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import { createPredictionReader, type PredictionReaderDependencies } from '@tandem/freshness/reader';
import { namesWithoutDefault } from '@tandem/freshness/request-features';

/**
 * The result for a user. `inferred`; `taken_out`: no inference was needed or possible (the stored prediction is fresh,
 * or none can be stored); `waiting` for a window that is taken; `erased`; `failed`.
 */
export type RefreshOutcome = 'inferred' | 'taken_out' | 'waiting' | 'erased' | 'failed';

/** Port: the windows in which a user of a predictor is re-scored once, whichever worker does it. */
export interface RefreshWindows {
  /** Takes a window of this many ms for each user. Returns 0 if it was free, else the ms until it is free. */
  take(predictor: string, userIds: readonly string[], forMs: number): Promise<readonly number[]>;
}

export interface RefreshPassDependencies
  extends Pick<PredictionReaderDependencies, 'authority' | 'registry' | 'online'> {
  readonly offline: PredictionReaderDependencies['offline'];
  /** Its answers are marked as re-scored. */
  readonly live: LivePredictor;
  readonly windows: RefreshWindows;
}

export interface RefreshedUser {
  readonly outcome: RefreshOutcome;
  /** For a waiting user: ms until the window is free. */
  readonly waitMs?: number;
}

const WITHIN_MS = 2_000;
/** No caller waits for a pass; a model or query that hangs must not delay the passes after it for long. */
const PASS_MS = 5_000;

/**
 * The window of a predictor in ms; null if it is not re-scored, or no event or inference could make it useful.
 * @param version of the stable arm; a version that needs request features has nothing to store
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

/** Never rejects. */
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

/** An unknown user is erased, or was never scored. Of a rollout's arm that needs request features nothing is stored. */
function errorOutcome({ code }: TandemError): RefreshOutcome {
  if (code === 'request_features_required') return 'taken_out';
  return code === 'unknown_user' ? 'erased' : 'failed';
}

/** Infers the users whose windows are free, and records the outcome of each. */
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

/** @param waitMs undefined if Redis did not answer */
function refreshedUser(answer: LiveOutcome, waitMs: number | undefined): RefreshedUser {
  if (waitMs !== undefined && waitMs > 0) return { outcome: 'waiting', waitMs };
  if (answer.kind === 'predicted') return { outcome: 'inferred' };
  return { outcome: answer.kind === 'erased' || answer.kind === 'no_features' ? 'erased' : 'failed' };
}
