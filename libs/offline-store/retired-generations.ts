/** Which generations are kept: a pure rule over the list. */
import type { Generation } from '@tandem/prediction/generations';

export interface RetentionCandidate extends Generation {
  /** Milliseconds since the run that builds it ended; null while it is not finished. */
  readonly runEndedMs: number | null;
}

/** Kept beside the one in force, for a rollback. */
const BEFORE = 2;
const UNPUBLISHED_MS = 24 * 3_600_000;

/**
 * Those to drop. Of each predictor and model version the newest three stay, and the one in force (after a rollback it is
 * not the newest) with the two before it. What no run published stays a day, since its run may be resumed.
 */
export function retiredGenerations(all: readonly RetentionCandidate[]): readonly RetentionCandidate[] {
  const published = Map.groupBy(
    all.filter((one) => one.state === 'published'),
    (one) => `${one.predictor}/${one.modelVersionId}`,
  );
  const kept = new Set<string>();
  for (const group of published.values()) {
    const newestFirst = group.toSorted((a, b) => b.number - a.number);
    const inForce = newestFirst.findIndex((one) => one.inForce);
    for (const start of [0, Math.max(0, inForce)]) {
      for (const one of newestFirst.slice(start, start + 1 + BEFORE)) kept.add(one.id);
    }
  }
  return all.filter((one) => !one.inForce && !kept.has(one.id) && isOver(one));
}

function isOver({ state, runEndedMs }: RetentionCandidate): boolean {
  switch (state) {
    case 'published':
      return true;
    case 'building':
      return runEndedMs !== null && runEndedMs > UNPUBLISHED_MS;
    case 'dropped':
      return false;
  }
}
