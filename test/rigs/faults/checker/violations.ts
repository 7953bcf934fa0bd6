/** Collects violations: a count for each rule, and the first few violations of each rule with their evidence. */

export type Rule =
  /** An answer called fresh is older than a change that was acknowledged before the read was sent. */
  | 'stale called fresh'
  /** An answer called fresh has an event value that was replaced before the read was sent. */
  | 'older event value'
  /** A label contradicts the score: it is not the context that the prediction was computed from. */
  | 'untrue label'
  | 'demanded context not met'
  /** An inference that the caller demanded read features from before the request. */
  | 'features from before the request'
  /** The context version in an answer is lower than a version that was acknowledged before the read was sent. */
  | 'old certificate'
  | 'fresh without Postgres'
  /** An answer from a generation that is no longer current. */
  | 'withdrawn generation'
  /** A fresh answer of an arm and a model version that no user was assigned to during the read. */
  | 'unassigned version'
  /** A user changed arms without a matching move of the rollout. */
  | 'user changed arms'
  /** The prediction was computed by another model version than the answer names. */
  | 'mixed arms'
  /** One entity tag stands for two answers. */
  | 'shared tag'
  /** An answer for a user who is erased, or from before an erasure that is acknowledged. */
  | 'erased user served'
  /** A fresh answer is older than an earlier answer to `no-cache` that was stored. */
  | 'older than demanded'
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
  /** Data of an erased user are still stored, although the deletes were repeated. */
  | 'erased user stored';

export interface Violation {
  readonly rule: Rule;
  readonly why: string;
  readonly evidence: unknown;
}

export interface Violations {
  note(rule: Rule, why: string, evidence: unknown): void;
  /** Maps rules to counts. */
  readonly counts: ReadonlyMap<Rule, number>;
  readonly first: readonly Violation[];
}

/** @param kept the most violations of each rule that are kept with their evidence */
export function createViolations(kept = 10): Violations {
  const counts = new Map<Rule, number>();
  const first: Violation[] = [];
  return {
    counts,
    first,
    note(rule, why, evidence) {
      const count = (counts.get(rule) ?? 0) + 1;
      counts.set(rule, count);
      // Copied, because the caller may still change the evidence.
      if (count <= kept) first.push({ rule, why, evidence: structuredClone(evidence) });
    },
  };
}
