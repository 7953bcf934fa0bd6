/** What was found wrong: how often by each rule, and the first few of each with their evidence. */

export type Rule =
  /** An answer called fresh is older than what was acknowledged before it was asked for. */
  | 'stale called fresh'
  /** An answer called fresh shows the value of an older event than one acknowledged before it was asked for. */
  | 'older event value'
  /** A label says more than the score shows: it is not the context that the prediction was computed from. */
  | 'untrue label'
  | 'demanded context not met'
  /** An inference that the caller demanded read features from before the request. */
  | 'features from before the request'
  /** The context version in an answer is older than what was acknowledged before it was asked for. */
  | 'old certificate'
  | 'fresh without Postgres'
  /** From a generation that is no longer current. */
  | 'withdrawn generation'
  /** A fresh answer of an arm and a model version that no user was assigned to during the read. */
  | 'unassigned version'
  /** A user came to another arm, or back, without a matching move of the rollout. */
  | 'user changed arms'
  /** The prediction was computed by another model version than the answer names. */
  | 'mixed arms'
  /** One entity tag stands for two answers. */
  | 'shared tag'
  /** An answer for a user who is erased, or from before an erasure that is acknowledged. */
  | 'erased user served'
  | 'dishonest source'
  | 'directive not honoured'
  | 'wrong user'
  | 'event versions'
  | 'payload conflict'
  | 'undeclared status'
  | 'unexpected status'
  | 'no Retry-After'
  | 'late'
  | 'unreachable without a fault'
  | 'leak'
  | 'throughput not back'
  | 'growing process'
  | 'acknowledged event lost'
  | 'event never sent'
  | 'context differs from its events'
  | 'run not ended'
  | 'run does not cover'
  | 'answer beyond the stores'
  /** What an erasure deletes is still there, though its deletes were repeated. */
  | 'erased user stored';

export interface Violation {
  readonly rule: Rule;
  readonly why: string;
  readonly evidence: unknown;
}

export interface Violations {
  note(rule: Rule, why: string, evidence: unknown): void;
  /** Rule → how often. */
  readonly counts: ReadonlyMap<Rule, number>;
  readonly first: readonly Violation[];
}

/** @param kept of each rule, with their evidence; further ones would tell nothing new */
export function createViolations(kept = 10): Violations {
  const counts = new Map<Rule, number>();
  const first: Violation[] = [];
  return {
    counts,
    first,
    note(rule, why, evidence) {
      const count = (counts.get(rule) ?? 0) + 1;
      counts.set(rule, count);
      // A copy: the evidence may still change elsewhere.
      if (count <= kept) first.push({ rule, why, evidence: structuredClone(evidence) });
    },
  };
}
