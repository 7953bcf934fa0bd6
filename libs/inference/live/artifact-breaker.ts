/**
 * A circuit breaker for each artifact, over live runs. A model that repeatedly ends its process, or hangs until it is
 * killed, is paused: its requests are rejected, and the processes serve the other models. The breaker counts the time
 * that the other models lost: a run that never ends costs a second or more, a crash only the start of the next process.
 *
 * Metrics, the event `inference.model_rests` and its field `restMs` call a pause a rest.
 *
 * Batch runs have no breaker: they isolate poison users one by one, within a separate budget (isolate-poison.ts).
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { ProcessEnded } from '../process/inference-process.ts';
import type { InferenceLog } from './model-loader.ts';
import type { Pending } from './pending-requests.ts';
import type { Part } from './waiting-line.ts';

interface BreakerOptions {
  /** Returns the milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly log: InferenceLog;
  /** Called when a model is paused; for a counter. */
  onRest(predictor: string): void;
  /** Milliseconds that a model may take from the others before it is paused. */
  readonly maxLostMs?: number;
}

/** An artifact, and the predictor whose requests use it, for messages. */
interface Asked {
  readonly artifactHash: string;
  readonly predictor: string;
}

/** Milliseconds that other models lose by the start of the next process, in addition to the run. */
const RESTART_MS = 150;
/** The lost time of two runs that never end, or of a dozen crashes. */
const MAX_LOST_MS = 2_000;
/**
 * The milliseconds that are subtracted from the lost time for each millisecond that passes, so that an occasional
 * poison user pauses nothing.
 */
const FORGIVEN = 0.05;
/** The kills from outside that do not prolong a pause. */
const FOREIGN_KILLS = 40;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** A model that was not paused for this multiple of its last pause starts again with the shortest pause. */
const CALM = 10;

interface Conduct {
  lostMs: number;
  /** The time at which `lostMs` was computed. */
  at: number;
  /** The length of the next pause, in ms. */
  pauseMs: number;
  /** The end of the last pause. */
  until: number;
  state: 'works' | 'paused' | 'probed';
  /** Kills from outside since the model last worked for a while. */
  kills: number;
  why: string;
}

export type ArtifactBreaker = ReturnType<typeof createArtifactBreaker>;

export function createArtifactBreaker({ now, log, onRest, maxLostMs = MAX_LOST_MS }: BreakerOptions) {
  /** The artifacts that recently ended a process. */
  const conducts = new Map<string, Conduct>();

  function conductOf(hash: string): Conduct {
    const known = conducts.get(hash);
    if (known) return known;
    const fresh: Conduct = {
      lostMs: 0,
      at: now(),
      pauseMs: FIRST_PAUSE_MS,
      until: 0,
      state: 'works',
      kills: 0,
      why: '',
    };
    conducts.set(hash, fresh);
    return fresh;
  }

  function pause(conduct: Conduct, { artifactHash, predictor }: Asked, wasKilled: boolean): TandemError {
    const { pauseMs, why } = conduct;
    Object.assign(conduct, { state: 'paused', lostMs: 0, until: now() + pauseMs });
    // A few kills from outside say little about the model, which would stay paused long after the last of them. Many may
    // be the kernel's, because the model takes too much memory.
    if (wasKilled) conduct.kills++;
    if (!wasKilled || conduct.kills > FOREIGN_KILLS) conduct.pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    log('inference.model_rests', { predictor, artifact: artifactHash, why, restMs: pauseMs });
    onRest(predictor);
    return pausedError(predictor, why, pauseMs);
  }

  return {
    /**
     * Returns whether a request may wait for the artifact, or the error `unavailable` while the artifact is paused. With
     * `isProbe`, only this request may wait, and its outcome ends or extends the pause.
     */
    permit({ artifactHash, predictor }: Asked): TandemError | { readonly isProbe: boolean } {
      const conduct = conducts.get(artifactHash);
      if (!conduct || conduct.state === 'works') return { isProbe: false };
      const left = conduct.until - now();
      if (left > 0 || conduct.state === 'probed') return pausedError(predictor, conduct.why, Math.max(left, 1));
      conduct.state = 'probed';
      return { isProbe: true };
    },
    /** Records a run that was answered, or rejected because of its rows. The process is still alive. */
    lived({ artifactHash, predictor }: Asked): void {
      const conduct = conducts.get(artifactHash);
      if (!conduct) return;
      if (conduct.state === 'probed') {
        conduct.state = 'works';
        log('inference.model_works_again', { predictor, artifact: artifactHash });
      }
      const isCalm = conduct.state === 'works' && now() - Math.max(conduct.until, conduct.at) > CALM * conduct.pauseMs;
      if (isCalm) conducts.delete(artifactHash);
    },
    /**
     * Records a run that ended its process. Returns the error for all requests of the artifact if that pauses it.
     * @param ranMs null if the process may have been killed from outside
     */
    died(asked: Asked, ranMs: number | null, how: string): TandemError | undefined {
      const conduct = conductOf(asked.artifactHash);
      const forgiven = FORGIVEN * (now() - conduct.at);
      conduct.lostMs = Math.max(0, conduct.lostMs - forgiven) + (ranMs ?? 0) + RESTART_MS;
      conduct.at = now();
      conduct.why = how;
      const isOver = conduct.state === 'probed' || (conduct.state === 'works' && conduct.lostMs >= maxLostMs);
      return isOver ? pause(conduct, asked, ranMs === null) : undefined;
    },
    /** Records a probe that was never run, or whose reader left: the next request becomes the probe. */
    undecided({ artifactHash }: Asked): void {
      const conduct = conducts.get(artifactHash);
      if (conduct?.state === 'probed') conduct.state = 'paused';
    },
    /** Returns how many artifacts are paused or being probed. */
    paused: () => [...conducts.values()].filter(({ state }) => state !== 'works').length,
  };
}

function pausedError(predictor: string, why: string, leftMs: number): TandemError {
  const seconds = Math.max(1, Math.ceil(leftMs / 1000));
  return new TandemError(
    'unavailable',
    `the model of ${predictor} is paused because it keeps ending its process (${why}); it is tried again in ${seconds} s`,
    { retryAfter: seconds, remedy: 'roll back to a version that works, or fix the model and adopt it' },
  );
}

export type Permit = Exclude<ReturnType<ArtifactBreaker['permit']>, TandemError>;

/** The permit of batch requests, which have no breaker. */
export const FREE: Permit = Object.freeze({ isProbe: false });

/**
 * Reports the end of a live run to the breaker. Returns the error of all requests that wait for the model if it is
 * paused.
 */
export function tellBreaker(
  breaker: ArtifactBreaker,
  part: Part<Pending> | undefined,
  end: unknown,
  ranMs: number,
): TandemError | undefined {
  if (part?.request.priority !== 'live') return undefined;
  if (end instanceof ProcessEnded) return breaker.died(part.version, mayBeForeign(end) ? null : ranMs, end.how);
  if (end === 'lived' || isTandemError(end, 'live_failed')) breaker.lived(part.version);
  else breaker.undecided(part.version);
  return undefined;
}

/**
 * Returns whether the child may have been killed from outside, by an operator or by the kernel for lack of memory. Its
 * rows are then retried.
 */
export function mayBeForeign(error: unknown): boolean {
  return error instanceof ProcessEnded && error.why === 'killed';
}
