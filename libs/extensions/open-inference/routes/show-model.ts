/**
 * GET /v2/models/{model} and /v2/models/{model}/ready, with or without /versions/{version}: the inputs and outputs of a
 * model, and whether it is ready.
 */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { versionIn } from '@tandem/endpoints/version-in';
import type { Context } from 'hono';
import { metadataView } from '../messages/http-message.ts';
import { type FindOpenModel, MODEL_SCOPES } from '../models/open-model.ts';
import { assertReady, INFERENCE_ERRORS, type ReadyDependencies } from '../open-server.ts';
import {
  INFERENCE_MODEL_EXAMPLE,
  InferenceModelPath,
  InferenceModelReadySchema,
  InferenceModelSchema,
  InferenceVersionPath,
} from '../wire.ts';

export interface OpenModelDependencies {
  readonly findOpenModel: FindOpenModel;
}

/** The two paths of each endpoint of a model, and the texts that differ between them. */
export const MODEL_PATHS = [
  { path: '/v2/models/{model}', id: 'Model', of: 'the model', params: InferenceModelPath },
  { path: '/v2/models/{model}/versions/{version}', id: 'ModelVersion', of: 'a version', params: InferenceVersionPath },
] as const;

/** Returns the model that the path names. Rejects with `invalid_input`, `unknown_predictor` or `unknown_model_version`. */
export async function modelIn({ req }: Context, { findOpenModel }: OpenModelDependencies) {
  const version = req.param('version');
  if (version !== undefined) versionIn(version, 'version');
  return findOpenModel(req.param('model') ?? '', version);
}

export function showInferenceModel(dependencies: OpenModelDependencies & ReadyDependencies): readonly Endpoint[] {
  const common = { method: 'get', tag: 'inference', scope: MODEL_SCOPES, refusals: INFERENCE_ERRORS } as const;
  return MODEL_PATHS.flatMap(({ path, id, of, params }) => [
    defineEndpoint({
      ...common,
      operationId: `showInference${id}`,
      path,
      params,
      summary: `The inputs and outputs of ${of}`,
      answer: { description: 'The model', schema: InferenceModelSchema, example: INFERENCE_MODEL_EXAMPLE },
      problems: ['unknown_predictor', 'unknown_model_version', 'invalid_input', 'unavailable'],
      async handle(context) {
        return metadataView((await modelIn(context, dependencies)).metadata);
      },
    }),
    defineEndpoint({
      ...common,
      operationId: `showInference${id}Ready`,
      path: `${path}/ready`,
      params,
      summary: `Whether ${of} answers`,
      answer: {
        description: 'The model is ready',
        schema: InferenceModelReadySchema,
        example: { name: 'repurchase', ready: true },
      },
      problems: ['unknown_predictor', 'unknown_model_version', 'invalid_input', 'unavailable'],
      async handle(context) {
        const { metadata } = await modelIn(context, dependencies);
        await assertReady(dependencies);
        return { name: metadata.name, ready: true };
      },
    }),
  ]);
}
