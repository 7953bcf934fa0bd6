/** The report of a shadow in the wire format. */
import type { DecisionPolicy } from '@tandem/freshness/predictor';
import type { KeptShadow } from '@tandem/offline-store/rollouts/shadow';
import { type ComparisonReport, reportShadow } from '@tandem/prediction/shadow/shadow-report';
import type { ShadowReportView } from '@tandem/wire/shadow-report';

/**
 * Renders the report of a shadow.
 * @param decision the predictor's current decision setting
 */
export function shadowReportView(
  rolloutId: string,
  { predictor, state, plan, processes, updatedAt, rows, movers }: KeptShadow,
  decision: DecisionPolicy | null,
): ShadowReportView {
  const { outcomes, everybody, segments, joint, servedAgeSeconds, candidate } = reportShadow(rows, decision !== null);
  return {
    rolloutId,
    predictor,
    state,
    modelVersion: String(plan.version),
    share: plan.share,
    processes,
    updatedAt: updatedAt?.toISOString() ?? null,
    decision,
    outcomes,
    everybody: comparisonsView(everybody),
    segments: segments.map(({ segment, ...comparisons }) => ({ ...segment, ...comparisonsView(comparisons) })),
    joint,
    servedAgeSeconds,
    movers: movers.map(({ computedAt, ...mover }) => ({ ...mover, computedAt: new Date(computedAt).toISOString() })),
    candidate,
  };
}

/** Renders comparisons without the empty classes at either end. */
function comparisonsView(comparisons: ComparisonReport): ComparisonReport {
  const { deltas } = comparisons;
  const first = deltas.findIndex(({ answers }) => answers > 0);
  const last = deltas.findLastIndex(({ answers }) => answers > 0);
  return { ...comparisons, deltas: first < 0 ? [] : deltas.slice(first, last + 1) };
}
