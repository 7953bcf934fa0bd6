/** The report of a generation as the wire has it. */
import type { GenerationReportView } from '@tandem/client/wire';
import type { KeptReport, ReportStore } from '@tandem/prediction/runs/run-store';

export interface ReportDependencies {
  readonly reports: ReportStore;
}

const NUMBER = /^[1-9][0-9]{0,8}$/;

/** The number in the path; 0, which no generation has, where it is none. */
export function generationNumber(text: string | undefined): number {
  return NUMBER.test(text ?? '') ? Number(text) : 0;
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
    figures,
    crossings,
    notes,
    movers,
  };
}
