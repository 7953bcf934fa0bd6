/**
 * Simulates each serving policy on the reads of a history: the context of each answer, and the inferences spent. The
 * batch-only policy answers from the last run. The live-only policy infers at each read. The hybrid policy answers from
 * the last run, and infers if an event came since or if the stored answer is older than `maxAge`. A stored answer
 * serves until the next event, so the reads of a burst share one inference.
 */
import type { Step, ValueHistory } from './value-history.ts';

export type ServingPolicy =
  | { readonly kind: 'batch' | 'hybrid'; readonly cadenceMs: number }
  | { readonly kind: 'live' };

/**
 * Simulates a policy on a history. Returns for each read the context that answers it (-1 if unknown), and the age of
 * that context at the read.
 * @param maxAgeMs the age after which the hybrid infers again; null: never
 */
export function answerReads(history: ValueHistory, policy: ServingPolicy, maxAgeMs: number | null) {
  const contexts = new Int32Array(history.reads.length).fill(-1);
  const ages = new Float64Array(history.reads.length);
  let liveInferences = 0;
  const server = policy.kind === 'live' ? serveLive() : serveStored(history.from, policy, maxAgeMs);
  for (const steps of history.timelines) {
    server.begin();
    for (const step of steps) {
      const answer = server.step(step);
      if (step.kind !== 'read' || !answer) continue;
      contexts[step.read] = answer.context ?? -1;
      ages[step.read] = step.at - answer.asOf;
      if (answer.isLive) liveInferences++;
    }
  }
  const runs = policy.kind === 'live' ? 0 : Math.ceil((history.to - history.from) / policy.cadenceMs);
  return { contexts, ages, liveInferences, batchInferences: runs * history.users };
}

interface Served {
  readonly context: number | null;
  readonly asOf: number;
  readonly isLive: boolean;
}

interface Server {
  /** Begins the steps of another user. */
  begin(): void;
  /** Processes a step. Returns the answer of a read. */
  step(step: Step): Served | undefined;
}

function serveLive(): Server {
  let current: number | null = null;
  return {
    begin() {
      current = null;
    },
    step(step) {
      if (step.kind === 'context') current = step.context;
      return step.kind === 'read' ? { context: current, asOf: step.at, isLive: true } : undefined;
    },
  };
}

/** Serves from runs. A run sees all steps up to and including its time. */
function serveStored(
  from: number,
  { kind, cadenceMs }: Extract<ServingPolicy, { cadenceMs: number }>,
  maxAgeMs: number | null,
): Server {
  let current: number | null | undefined;
  let stored: Served | undefined;
  let isStale = false;
  let lastRun = Number.NEGATIVE_INFINITY;

  function runBefore(at: number): void {
    const slot = from + (Math.ceil((at - from) / cadenceMs) - 1) * cadenceMs;
    if (slot < from || slot <= lastRun) return;
    lastRun = slot;
    // The feature source has no row of the user yet.
    if (current === undefined) return;
    stored = { context: current, asOf: slot, isLive: false };
    isStale = false;
  }

  function answer(at: number): Served | undefined {
    if (kind === 'batch') return stored;
    const isExpired = stored === undefined || (maxAgeMs !== null && at - stored.asOf > maxAgeMs);
    if (!isExpired && !isStale) return stored;
    isStale = false;
    stored = { context: current ?? null, asOf: at, isLive: false };
    return { ...stored, isLive: true };
  }

  return {
    begin() {
      [current, stored, isStale, lastRun] = [undefined, undefined, false, Number.NEGATIVE_INFINITY];
    },
    step(step) {
      runBefore(step.at);
      if (step.kind === 'context') current = step.context;
      if (step.kind === 'event') isStale = true;
      return step.kind === 'read' ? answer(step.at) : undefined;
    },
  };
}
