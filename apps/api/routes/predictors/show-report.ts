/**
 * GET /v1/predictors/{predictor}/generations/{generation}/report: how the generation differs from the generation served
 * before it.
 */
import { unknownPredictor } from '@tandem/freshness/errors';
import type { Registry } from '@tandem/freshness/reader';
import { GENERATION_REPORT_EXAMPLE, GenerationReportSchema } from '@tandem/wire/generation-report';
import { GenerationPath } from '@tandem/wire/parameters';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { generationNumber, type ReportDependencies, reportView } from './report-view.ts';

export interface ShowReportDependencies extends ReportDependencies {
  readonly registry: Pick<Registry, 'predictor'>;
}

/** The value in place of a number that selects the newest generation with a report. */
const NEWEST = 'newest';

export function showReport({ reports, registry }: ShowReportDependencies) {
  return jsonEndpoint({
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
      const [name, which] = [req.param('predictor') ?? '', req.param('generation')];
      if (!(await registry.predictor(name))) throw unknownPredictor(name);
      return reportView(await reports.find(name, which === NEWEST ? null : generationNumber(which, name)));
    },
  });
}
