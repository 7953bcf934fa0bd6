/** The report of a generation in the wire format. */
import type { KeptReport, ReportStore } from '@tandem/prediction/runs/run-store';
import type { GenerationReportView } from '@tandem/wire/generation-report';
import { NUMBER_TEXT } from '@tandem/wire/numbers';

export interface ReportDependencies {
  readonly reports: ReportStore;
}

/** Returns the number in the path. If it is not a number, returns 0, which no generation has. */
export function generationNumber(text: string | undefined): number {
  return NUMBER_TEXT.test(text ?? '') ? Number(text) : 0;
}

export function reportView(report: KeptReport): GenerationReportView {
  const { predictor, generation, against, verdict, madeAt, tookMs, figures, crossings, notes, movers } = report;
  return {
    predictor,
    generation: String(generation),
    against: against === null ? null : String(against),
    verdict,
    madeAt: madeAt.toISOString(),
    tookMs,
    sample: report.sample ?? null,
    outOfTime: report.outOfTime ?? null,
    figures,
    crossings,
    notes,
    movers,
  };
}
