/**
 * POST /v1/models/{predictor}/versions/{version}/comparison: compares an optimised build with its parent, on real users
 * and on the machine that would serve it. It stores nothing. It is a POST because it is expensive and the request
 * carries labels.
 */

import type { BuildFigures, BuildSide } from '@tandem/admission/compare-build';
import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { versionIn } from '@tandem/endpoints/version-in';
import {
  BUILD_COMPARISON_EXAMPLE,
  BuildComparisonSchema,
  type BuildComparisonView,
  COMPARED_USERS,
  CompareBuildSchema,
} from '@tandem/wire/builds';
import { ModelVersionPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

const BODY = { schema: CompareBuildSchema, example: { users: 2_000 }, optional: true };

export function compareBuild(dependencies: RouteDependencies) {
  return defineEndpoint({
    operationId: 'compareBuild',
    method: 'post',
    path: '/v1/models/{predictor}/versions/{version}/comparison',
    tag: 'models',
    summary: 'Compare an optimised build with its parent',
    description: `Runs both versions alternately in a separate process, on the half of the users that no build is calibrated on. Returns
the differences of the answers, flipped decisions, the time of a user alone and in a batch, and whether rows must be inferred
one by one. With \`labels\`, it also returns AUC and log-loss for scores from 0 to 1, otherwise the mean absolute
and root mean squared errors. The comparison waits in the queue of trials of pushed models: 503 \`overloaded\` says when to retry.`,
    scope: 'models:read',
    params: ModelVersionPath,
    body: BODY,
    answer: {
      description: 'Comparison of both versions',
      schema: BuildComparisonSchema,
      example: BUILD_COMPARISON_EXAMPLE,
    },
    problems: [
      'unknown_predictor',
      'unknown_model_version',
      'config_invalid',
      'model_refused',
      'features_unusable',
      'overloaded',
      'unavailable',
    ],
    async handle(context, event) {
      const predictor = context.req.param('predictor') ?? '';
      const number = versionIn(context.req.param('version'), 'version');
      const { users = COMPARED_USERS, labels } = await parseBody(context, BODY);
      event.add({ predictor, modelVersion: number });
      const figures = await dependencies.compareBuild({ predictor, number, users, labels });
      return buildComparisonView(predictor, figures);
    },
  });
}

function buildComparisonView(predictor: string, figures: BuildFigures): BuildComparisonView {
  const { parent, build, users, agreement, labels, paces } = figures;
  return {
    predictor,
    parent: sideView(parent),
    build: sideView(build),
    users,
    outputs: agreement.outputs,
    decision: agreement.decision,
    labels,
    pace: paces,
  };
}

function sideView({
  number,
  kind,
  artifact,
  bytes,
  rowByRow,
  parity,
  refused,
}: BuildSide): BuildComparisonView['build'] {
  return {
    modelVersion: String(number),
    build: kind,
    artifact,
    bytes,
    rowByRow,
    rowsAgree: parity.rowsAgree,
    largestRowDifference: parity.largestDifference,
    refused,
  };
}
