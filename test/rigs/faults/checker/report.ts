/** Renders the result of a check for operators: counts, recoveries, violations, and the meaning of no violation. */
import type { Checker } from './checker.ts';

export function countViolations({ violations }: Checker): number {
  return [...violations.counts.values()].reduce((sum, one) => sum + one, 0);
}

export function reportOf(checker: Checker): string {
  const { reads, events, erasures, assignments, order, calls, work, recoveries, violations } = checker;
  const lines = [
    `answers judged: ${reads.answers}, called fresh: ${reads.fresh} (not judged, because the read took too long: ${reads.unjudged})`,
    `reads with a fresh answer: ${reads.freshReads}; fresh answers of changed users: ${reads.freshOfChanged}`,
    `sources: ${listed(reads.sources)}`,
    `events acknowledged: ${events.acknowledged}, duplicates: ${events.duplicates}, dropped: ${events.erased}; runs started: ${calls.outcomes.get('run 202') ?? 0}`,
    `users erased: ${erasures.erased}, readmitted: ${erasures.readmitted}`,
    `rollouts, acknowledged: ${listed(assignments.moves) || 'none'}; fresh answers by arm: ${listed(assignments.served)}`,
    `unverified answers judged: ${assignments.unverified}, shortly after a withdrawal: ${assignments.unverifiedShortlyAfter}`,
    `stored answers to no-cache: ${order.demanded}; fresh answers judged against them: ${order.judged}`,
    `work: ${listed(work)}`,
    `outcomes: ${listed(calls.outcomes)}`,
    `slowest, ms: ${listed(new Map([...calls.slowest].map(([kind, ms]) => [kind, Math.round(ms)])))}`,
    `faults: ${listed(checker.known.faults.counts)}`,
    ...recoveries.map(
      ({ fault, before, backAfterMs, isOvertaken }) =>
        `${fault}: ${before} good answers a second before; ${backAfterMs !== null ? `back after ${Math.round(backAfterMs)} ms` : isOvertaken ? 'the next fault or the end came first' : 'not back in time'}`,
    ),
    `violations: ${violations.counts.size === 0 ? meaningOfNone(reads.freshReads) : listed(violations.counts)}`,
    ...violations.first.map(({ rule, why, evidence }) => `  ${rule}: ${why}: ${JSON.stringify(evidence)}`),
  ];
  return lines.join('\n');
}

/** Applies the rule of three: no violation in n trials bounds the rate below 3/n at 95 % confidence. */
export function meaningOfNone(freshReads: number): string {
  if (freshReads === 0) return 'none, and nothing was called fresh';
  return `none; a share below ${(3 / freshReads).toExponential(1)} of such reads is stale, at 95 % confidence`;
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
