/** POST /v2/models/{model}/infer, with or without /versions/{version}: infers tensors or predicts users. */

import { checkForm } from '@tandem/embedded/check-form';
import { readBody, refuseContentEncoding, requireMediaType } from '@tandem/endpoints/body';
import { patienceOf } from '@tandem/endpoints/caller-patience';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { LIVE_PROBLEMS } from '@tandem/endpoints/describe-problems';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { readJson } from '@tandem/endpoints/json/read-json';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { TandemError } from '@tandem/freshness/errors';
import type { Context } from 'hono';
import { JSON_LENGTH_HEADER, readHttpRequest, renderHttpAnswer } from '../messages/http-message.ts';
import { MODEL_SCOPES } from '../models/open-model.ts';
import { INFERENCE_ERRORS } from '../open-server.ts';
import {
  INFERENCE_ANSWER_EXAMPLE,
  INFERENCE_REQUEST_EXAMPLE,
  InferenceAnswerSchema,
  InferenceHeaders,
  InferenceRequestSchema,
} from '../wire.ts';
import { MODEL_PATHS, modelIn, type OpenModelDependencies } from './show-model.ts';

const BODY = { schema: InferenceRequestSchema, example: INFERENCE_REQUEST_EXAMPLE };

/** Problems of both views. A hybrid model has the problems of a read. */
const PROBLEMS: readonly ErrorCode[] = [
  'unknown_predictor',
  'unknown_model_version',
  'unknown_user',
  'history_changed',
  'context_not_reached',
  ...LIVE_PROBLEMS,
  'not_cached',
];

export function inferTensors(dependencies: OpenModelDependencies): readonly Endpoint[] {
  return MODEL_PATHS.map(({ path, id, of, params }) =>
    defineEndpoint({
      operationId: `infer${id}`,
      method: 'post',
      path: `${path}/infer`,
      tag: 'inference',
      summary: `Inference by ${of}`,
      description: `\`{predictor}\` takes the input tensors of the model and returns its output tensors; rows of several callers share a
batch. \`{predictor}.hybrid\` takes \`user_id\` and returns certified predictions with their provenance. Inputs and outputs may be
binary data after the JSON (extension \`binary_tensor_data\`). \`{predictor}\` needs the scope \`models:infer\`,
\`{predictor}.hybrid\` the scope \`predictions:read\`.`,
      scope: MODEL_SCOPES,
      params,
      headers: InferenceHeaders,
      body: BODY,
      refusals: INFERENCE_ERRORS,
      answer: {
        description: 'The outputs. The media type of binary data is `application/octet-stream`',
        schema: InferenceAnswerSchema,
        example: INFERENCE_ANSWER_EXAMPLE,
      },
      problems: PROBLEMS,
      async handle(context, event, caller) {
        const model = await modelIn(context, dependencies);
        caller.requireScope(model.scope);
        const request = readHttpRequest(...(await bodyIn(context)));
        const asked = { head: context.req, caller, event, ...patienceOf(context.req) };
        return answerWith(renderHttpAnswer(await model.infer(request.request, asked), request));
      },
    }),
  );
}

/**
 * Returns the checked JSON and the bytes that follow it. Clients of the protocol send no media type or
 * application/octet-stream.
 */
async function bodyIn({ req }: Context): Promise<Parameters<typeof readHttpRequest>> {
  refuseContentEncoding(req.header('content-encoding'));
  const type = req.header('content-type');
  if (type !== undefined) requireMediaType(type, ['application/json', 'application/octet-stream']);
  const bytes = await readBody(req.raw, req.header('content-length'));
  const end = jsonLengthIn(req.header(JSON_LENGTH_HEADER), bytes.length);
  return [checkForm(BODY, readJson(bytes.subarray(0, end))), bytes.subarray(end)];
}

function jsonLengthIn(header: string | undefined, length: number): number {
  if (header === undefined) return length;
  if (/^\d{1,9}$/.test(header) && Number(header) <= length) return Number(header);
  const given = JSON.stringify(header.slice(0, 40));
  throw new TandemError('malformed_request', `${JSON_LENGTH_HEADER} is ${given}, but the body has ${length} bytes.`, {
    field: JSON_LENGTH_HEADER,
    remedy: 'send the length in bytes of the JSON at the beginning of the body',
  });
}

function answerWith({ body, jsonLength }: ReturnType<typeof renderHttpAnswer>): Response {
  const isBinary = jsonLength !== undefined;
  return new Response(body, {
    headers: {
      'content-type': isBinary ? 'application/octet-stream' : 'application/json',
      ...(isBinary ? { [JSON_LENGTH_HEADER]: String(jsonLength) } : {}),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    },
  });
}
