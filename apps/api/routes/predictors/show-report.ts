/**
 * GET /v1/predictors/{predictor}/generations/{generation}/report: how the generation differs from the generation served
 * before it.
 */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { TandemError } from '@tandem/freshness/errors';
import type { KeptReport } from '@tandem/prediction/runs/run-store';
import {
  GENERATION_REPORT_EXAMPLE,
  GenerationReportSchema,
  type GenerationReportView,
} from '@tandem/wire/generation-report';
import { NUMBER_TEXT } from '@tandem/wire/numbers';
import { GenerationPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

/** The value in place of a number that selects the newest generation with a report. */
const NEWEST = 'newest';

export function showReport({ reports, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'showGenerationReport',
    method: 'get',
    path: '/v1/predictors/{predictor}/generations/{generation}/report',
    tag: 'predictors',
    summary: 'How a generation differs from the one served before it',
    description:
      'The report is made before publication, after the run has scored all users. It has the coverage, the shift of each output, decision flips, the largest changes, and segments. `newest` instead of a number selects the newest generation with a report.',
    scope: 'models:read',
    params: GenerationPath,
    answer: {
      description: 'The report',
      schema: GenerationReportSchema,
      example: GENERATION_REPORT_EXAMPLE,
    },
    problems: ['unknown_predictor', 'unknown_generation', 'invalid_input', 'unavailable'],
    async handle({ req }) {
      const { name } = await requirePredictor(registry, req.param('predictor'));
      const which = req.param('generation');
      return reportView(await reports.find(name, which === NEWEST ? null : generationNumber(which, name)));
    },
  });
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

function reportView(report: KeptReport): GenerationReportView {
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
