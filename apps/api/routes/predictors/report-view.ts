/** The report of a generation in the wire format. */
import { TandemError } from '@tandem/freshness/errors';
import type { KeptReport, ReportStore } from '@tandem/prediction/runs/run-store';
import type { GenerationReportView } from '@tandem/wire/generation-report';
import { NUMBER_TEXT } from '@tandem/wire/numbers';

export interface ReportDependencies {
  readonly reports: ReportStore;
}

/**
 * Returns the number in the path. Throws `invalid_input` if it is not a number, and `unknown_generation` if it has more
 * digits than the number of a generation.
 */
export function generationNumber(text: string | undefined, predictor: string): number {
  if (text !== undefined && NUMBER_TEXT.test(text)) return Number(text);
  const remedy = `use a number that tandem generation list, or GET /v1/predictors/${predictor}/generations, returns`;
  const said = (text ?? '').slice(0, 40);
  if (/^[1-9][0-9]*$/.test(text ?? '')) {
    const problem = `${predictor} has no generation ${said}.`;
    throw new TandemError('unknown_generation', problem, { field: 'generation', remedy });
  }
  const problem = `${JSON.stringify(said)} is not the number of a generation.`;
  throw new TandemError('invalid_input', problem, { field: 'generation', remedy });
}

export function reportView(report: KeptReport): GenerationReportView {
  const { predictor, generation, against, verdict, madeAt, tookMs, figures, crossings, notes, movers } = report;
  return {
    predictor,
    generation: String(generation),
    against: against === null ? null : String(against),
    first: report.first ? String(report.first.generation) : null,
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
