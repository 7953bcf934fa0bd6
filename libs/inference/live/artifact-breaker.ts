/**
 * A breaker for each artifact, over live runs: a model that ends its process again and again, or hangs until it is
 * killed, is given a rest, and the processes are there for the other models meanwhile. What counts is the time that it
 * took from them: a run that never ends costs a second and more, a crash only the start of the next process.
 *
 * A batch has no breaker: there poison users are found one by one, within a budget of their own (isolate-poison.ts).
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { ProcessEnded } from '../process/inference-process.ts';
import type { InferenceLog } from './model-loader.ts';
import type { Part, Pending } from './waiting-requests.ts';

interface BreakerOptions {
  /** Milliseconds that only ever rise. */
  readonly now: () => number;
  readonly log: InferenceLog;
  /** A model is given a rest; for a counter. */
  onRest(predictor: string): void;
  /** Milliseconds that a model may take from the others before it rests. */
  readonly maxLostMs?: number;
}

/** Of whom something is said: an artifact, and the predictor that asks it, for people. */
interface Asked {
  readonly artifactHash: string;
  readonly predictor: string;
}

export interface ArtifactBreaker {
  /**
   * Undefined: the request may wait for the artifact; `isProbe` says that it alone may, and that its outcome decides.
   * An error, `unavailable`: the artifact rests.
   */
  permit(asked: Asked): TandemError | { readonly isProbe: boolean };
  /** A run was answered, or refused for the sake of its rows: the process lives. */
  lived(asked: Asked): void;
  /**
   * A run ended its process after so long. Gives the error for all who wait for the artifact, where it is given a rest.
   */
  died(asked: Asked, ranMs: number, how: string): TandemError | undefined;
  /** The probe was never run, or its reader left: the next request is one. */
  undecided(asked: Asked): void;
  /** Artifacts that rest, or are on probation. */
  resting(): number;
}

/** What the next process costs the others, in ms, on top of what the run took. */
const RESTART_MS = 150;
/** Two runs that never end, or a dozen crashes. */
const MAX_LOST_MS = 2_000;
/** How much of the lost time is forgiven in a millisecond: a poison user now and then is no reason to stop. */
const FORGIVEN = 0.05;
const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;
/** A model that had no rest for so many times the length of its last one is as good as new. */
const CALM = 10;

interface Conduct {
  lostMs: number;
  /** When `lostMs` was right. */
  at: number;
  /** The length of its next rest, in ms. */
  restMs: number;
  /** End of its last rest. */
  until: number;
  state: 'works' | 'rests' | 'probed';
  why: string;
}

export function createArtifactBreaker({ now, log, onRest, maxLostMs = MAX_LOST_MS }: BreakerOptions): ArtifactBreaker {
  /** Of those that ended a process lately. */
  const conducts = new Map<string, Conduct>();

  function conductOf(hash: string): Conduct {
    const known = conducts.get(hash);
    if (known) return known;
    const fresh: Conduct = { lostMs: 0, at: now(), restMs: FIRST_REST_MS, until: 0, state: 'works', why: '' };
    conducts.set(hash, fresh);
    return fresh;
  }

  function rest(conduct: Conduct, { artifactHash, predictor }: Asked): TandemError {
    const { restMs, why } = conduct;
    Object.assign(conduct, { state: 'rests', lostMs: 0, until: now() + restMs });
    conduct.restMs = Math.min(LONGEST_REST_MS, restMs * 2);
    log('inference.model_rests', { predictor, artifact: artifactHash, why, restMs });
    onRest(predictor);
    return resting(predictor, why, restMs);
  }

  return {
    permit({ artifactHash, predictor }) {
      const conduct = conducts.get(artifactHash);
      if (!conduct || conduct.state === 'works') return { isProbe: false };
      const left = conduct.until - now();
      if (left > 0 || conduct.state === 'probed') return resting(predictor, conduct.why, Math.max(left, 1));
      conduct.state = 'probed';
      return { isProbe: true };
    },
    lived({ artifactHash, predictor }) {
      const conduct = conducts.get(artifactHash);
      if (!conduct) return;
      if (conduct.state === 'probed') {
        conduct.state = 'works';
        log('inference.model_works_again', { predictor, artifact: artifactHash });
      }
      const isCalm = conduct.state === 'works' && now() - Math.max(conduct.until, conduct.at) > CALM * conduct.restMs;
      if (isCalm) conducts.delete(artifactHash);
    },
    died(asked, ranMs, how) {
      const conduct = conductOf(asked.artifactHash);
      const forgiven = FORGIVEN * (now() - conduct.at);
      conduct.lostMs = Math.max(0, conduct.lostMs - forgiven) + ranMs + RESTART_MS;
      conduct.at = now();
      conduct.why = how;
      const isOver = conduct.state === 'probed' || (conduct.state === 'works' && conduct.lostMs >= maxLostMs);
      return isOver ? rest(conduct, asked) : undefined;
    },
    undecided({ artifactHash }) {
      const conduct = conducts.get(artifactHash);
      if (conduct?.state === 'probed') conduct.state = 'rests';
    },
    resting: () => [...conducts.values()].filter(({ state }) => state !== 'works').length,
  };
}

function resting(predictor: string, why: string, leftMs: number): TandemError {
  const seconds = Math.max(1, Math.ceil(leftMs / 1000));
  return new TandemError(
    'unavailable',
    `the model of ${predictor} is given a rest, since it keeps ending its process (${why}); it is tried again in ${seconds} s`,
    { retryAfter: seconds, remedy: 'roll back to a version that works, or mend the model and adopt it' },
  );
}

export type Permit = Exclude<ReturnType<ArtifactBreaker['permit']>, TandemError>;

/** A batch's, which no breaker watches. */
export const FREE: Permit = Object.freeze({ isProbe: false });

/** Tells the breaker how a live run ended. Returns the error of all requests that wait for the model if it backs off. */
export function tellBreaker(
  breaker: ArtifactBreaker,
  part: Part<Pending> | undefined,
  end: unknown,
  ranMs: number,
): TandemError | undefined {
  if (part?.request.priority !== 'live') return undefined;
  // Killed by somebody else, a model cannot be blamed for how long it was at work.
  if (end instanceof ProcessEnded) return breaker.died(part.version, mayBeForeign(end) ? 0 : ranMs, end.how);
  if (end === 'lived' || isTandemError(end, 'live_failed')) breaker.lived(part.version);
  else breaker.undecided(part.version);
  return undefined;
}

/** Somebody may have killed the child (an operator, the kernel for want of memory): the rows deserve a second try. */
export function mayBeForeign(error: unknown): boolean {
  return error instanceof ProcessEnded && error.why === 'killed';
}
