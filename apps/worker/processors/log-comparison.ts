/** Logs and counts a comparison of generations, before the publication, in the worker that made it. */
import { crossingText } from '@tandem/prediction/reports/generation-report';
import type { PublishOutcome } from '@tandem/prediction/runs/run-store';
import type { Run } from '@tandem/prediction/runs/runs';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface ComparisonLogging {
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'generationReports' | 'generationPsi' | 'generationFlips'>;
}

type MadeReport = NonNullable<PublishOutcome['report']>;

export function logComparison(
  { id, predictor, generationNumber }: Run,
  { verdict, against, first, figures, crossings, notes, tookMs }: MadeReport,
  { log, metrics }: ComparisonLogging,
): void {
  metrics.generationReports.inc({ predictor, verdict });
  for (const { name: output, psi, first: shift } of figures?.outputs ?? []) {
    metrics.generationPsi.set({ predictor, output, against: 'previous' }, psi);
    const labels = { predictor, output, against: 'first' };
    if (shift) metrics.generationPsi.set(labels, shift.psi);
    else metrics.generationPsi.remove(labels);
  }
  const { users, decision } = figures ?? {};
  if (users && decision) {
    const both = Math.max(1, users.both);
    metrics.generationFlips.set({ predictor, direction: 'up' }, decision.up / both);
    metrics.generationFlips.set({ predictor, direction: 'down' }, decision.down / both);
  }
  log[verdict === 'blocked' ? 'warn' : 'info']('generation.compared', {
    runId: id,
    predictor,
    generation: generationNumber,
    against: against?.number ?? null,
    first: first?.generation ?? null,
    verdict,
    users: users?.both ?? null,
    psi: figures && Object.fromEntries(figures.outputs.map(({ name, psi }) => [name, psi])),
    psiOfFirst: figures && Object.fromEntries(figures.outputs.map(({ name, first }) => [name, first?.psi ?? null])),
    flipRate: decision?.rate ?? null,
    crossed: crossings.map(crossingText),
    notes,
    tookMs,
  });
}
