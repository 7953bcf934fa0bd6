/**
 * The Open Inference Protocol v2 over HTTP: the service, its models, and inference. As the protocol requires, unknown
 * fields are ignored.
 */

import { versionParameter } from '@tandem/wire/parameters';
import type { Answered } from '@tandem/wire/schema';
import { z } from 'zod';

const modelParameter = z.string().meta({
  param: { name: 'model', in: 'path' },
  description:
    'The name of a predictor, for a model that takes tensors; or `{predictor}.hybrid`, for a model that takes user ids',
  example: 'repurchase.hybrid',
});

export const InferenceModelPath = z.object({ model: modelParameter });
export const InferenceVersionPath = z.object({ model: modelParameter, version: versionParameter });

export const InferenceHeaders = z.object({
  'inference-header-content-length': z
    .string()
    .optional()
    .meta({ description: 'Bytes of the JSON part, if binary data follow it', example: '161' }),
  'cache-control': z
    .string()
    .optional()
    .meta({ description: 'Only for a hybrid model; the same header as in a read', example: 'max-age=3600' }),
  'prediction-min-context': z.string().optional().meta({
    description: 'Only for a hybrid model and one user; the same header as in a read',
    example: '9f2c4a1be07d3358.6',
  }),
});

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const shape = z.array(z.int());
const datatype = z.string().meta({ example: 'FP32' });
/** The values of a tensor. messages/json-data.ts checks them against the data type. */
const data = z.array(z.unknown()).meta({ description: 'The values, row by row, flat or nested' });

export const InferenceServerSchema = z
  .strictObject({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })
  .meta({ id: 'InferenceServer' });

export const InferenceLiveSchema = z.strictObject({ live: z.boolean() }).meta({ id: 'InferenceLive' });
export const InferenceReadySchema = z.strictObject({ ready: z.boolean() }).meta({ id: 'InferenceReady' });

export const InferenceModelReadySchema = z
  .strictObject({ name: z.string(), ready: z.boolean() })
  .meta({ id: 'InferenceModelReady' });

const tensorMetadata = z
  .strictObject({
    name: z.string(),
    datatype,
    shape: shape.meta({ description: 'The size of each dimension; -1 if any size is allowed' }),
  })
  .meta({ id: 'InferenceTensor' });

export const InferenceModelSchema = z
  .strictObject({
    name: z.string(),
    versions: z
      .array(z.string())
      .optional()
      .meta({ description: 'Versions that a path may name; left out for a hybrid model' }),
    platform: z.string(),
    inputs: z.array(tensorMetadata),
    outputs: z.array(tensorMetadata),
  })
  .meta({ id: 'InferenceModel' });

export const INFERENCE_MODEL_EXAMPLE = {
  name: 'repurchase',
  versions: ['2'],
  platform: 'onnx_onnxv1',
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 12] }],
  outputs: [{ name: 'score', datatype: 'FP32', shape: [-1, 1] }],
} satisfies Answered<typeof InferenceModelSchema>;

const requestInput = z
  .object({ name: z.string(), shape, datatype, parameters: parameters.optional(), data: data.optional() })
  .meta({ id: 'InferenceInput' });

const requestOutput = z
  .object({ name: z.string(), parameters: parameters.optional() })
  .meta({ id: 'InferenceRequestedOutput' });

export const InferenceRequestSchema = z
  .object({
    id: z.string().max(1_024).optional().meta({ description: 'Id of the request, repeated in the answer' }),
    parameters: parameters.optional().meta({
      description: '`timeout`: microseconds for the answer; `binary_data_output`: all outputs as binary data',
    }),
    inputs: z.array(requestInput).max(4_096),
    outputs: z.array(requestOutput).max(4_096).optional().meta({ description: 'Default: all outputs' }),
  })
  .meta({ id: 'InferenceRequest' });

export const INFERENCE_REQUEST_EXAMPLE = {
  id: 'a1',
  inputs: [{ name: 'user_id', shape: [2], datatype: 'BYTES', data: ['42', '43'] }],
  outputs: [{ name: 'score' }, { name: 'tandem.source' }],
};

const responseOutput = z
  .strictObject({ name: z.string(), shape, datatype, parameters: parameters.optional(), data: data.optional() })
  .meta({ id: 'InferenceOutput' });

export const InferenceAnswerSchema = z
  .strictObject({
    model_name: z.string(),
    model_version: z.string().optional(),
    id: z.string().optional(),
    parameters,
    outputs: z.array(responseOutput),
  })
  .meta({ id: 'InferenceAnswer' });

export const INFERENCE_ANSWER_EXAMPLE = {
  model_name: 'repurchase.hybrid',
  id: 'a1',
  parameters: { predictor: 'repurchase' },
  outputs: [
    { name: 'score', datatype: 'FP32', shape: [2], data: [0.831, 0.412] },
    { name: 'tandem.source', datatype: 'BYTES', shape: [2], data: ['batch', 'live'] },
  ],
} satisfies Answered<typeof InferenceAnswerSchema>;

export const InferenceErrorSchema = z
  .strictObject({
    error: z.string(),
    type: z.string().meta({ description: 'The problem type, a stable identifier as in the errors of other paths' }),
    field: z.string().optional().meta({ description: 'Field with the error' }),
  })
  .meta({ id: 'InferenceError' });
