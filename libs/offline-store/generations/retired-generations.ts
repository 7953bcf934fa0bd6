/** Which generations are kept: a pure rule over the list. */
import type { Generation } from '@tandem/prediction/runs/generations';

export interface RetentionCandidate extends Generation {
  /** Whether an arm names its model version. */
  readonly isServed: boolean;
  /** Milliseconds since an arm last left it, else since it was published; null where it never was. */
  readonly lastUsedMs: number | null;
  /** Milliseconds since the run that builds it ended; null while it is not finished. */
  readonly runEndedMs: number | null;
}

/** Kept of a model version beside the one in force, for a rollback. */
const BEFORE = 2;
/** Model versions of a predictor that are kept beside those that are served, for a rollback: those used last. */
const VERSIONS = 5;
const VERSION_MS = 30 * 24 * 3_600_000;
const UNPUBLISHED_MS = 24 * 3_600_000;

/**
 * Those to drop. Of each model version that is kept the newest three stay, and the one in force (after a rollback it is
 * not the newest) with the two before it. Kept are the versions that an arm names, and of each predictor the five others
 * that were used last, for 30 days. What no run published stays a day, since its run may be resumed.
 */
export function retiredGenerations(all: readonly RetentionCandidate[]): readonly RetentionCandidate[] {
  const kept = new Set<string>();
  const published = Map.groupBy(
    all.filter((one) => one.state === 'published'),
    (one) => one.predictor,
  );
  for (const group of published.values()) {
    for (const version of keptVersions(group)) for (const one of keptOf(version)) kept.add(one.id);
  }
  return all.filter((one) => !one.inForce && !kept.has(one.id) && isOver(one));
}

/** @param published of one predictor */
function keptVersions(published: readonly RetentionCandidate[]): readonly (readonly RetentionCandidate[])[] {
  const versions = [...Map.groupBy(published, (one) => one.modelVersionId).values()];
  const served = versions.filter(([first]) => first?.isServed);
  const others = versions
    .filter(([first]) => !first?.isServed)
    .map((version) => ({ version, lastUsedMs: Math.min(...version.map((one) => one.lastUsedMs ?? 0)) }))
    .filter(({ lastUsedMs }) => lastUsedMs < VERSION_MS)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs)
    .slice(0, VERSIONS);
  return [...served, ...others.map(({ version }) => version)];
}

/** @param version its published generations */
function keptOf(version: readonly RetentionCandidate[]): readonly RetentionCandidate[] {
  const newestFirst = version.toSorted((a, b) => b.number - a.number);
  const inForce = newestFirst.findIndex((one) => one.inForce);
  return [0, Math.max(0, inForce)].flatMap((start) => newestFirst.slice(start, start + 1 + BEFORE));
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
