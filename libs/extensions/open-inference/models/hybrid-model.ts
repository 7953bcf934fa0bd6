/**
 * Serves a predictor as a model that takes user ids and returns certified predictions: the answers of `POST
 * /v1/predictions/{predictor}` as tensors. Each field of the prediction is an output. The outputs `tandem.…` give the
 * provenance of each prediction.
 */
import { predictionView } from '@tandem/embedded/prediction-view';
import type { AnswerMany } from '@tandem/endpoints/answer-many';
import { problemType } from '@tandem/endpoints/problem';
import { MIN_CONTEXT, readOptions, tokenOfOneUser } from '@tandem/endpoints/read-options';
import type { ReadResult } from '@tandem/freshness/answer';
import { callerGone, invalidInput, TandemError } from '@tandem/freshness/errors';
import type { OutputField, PredictionValue, TensorType } from '@tandem/freshness/predictor';
import { holdsNumber } from '@tandem/freshness/tensor-ranges';
import type { TensorData, WireTensor } from '@tandem/inference/process/protocol';
import type { PredictionView } from '@tandem/wire/predictions';
import { MAX_USERS } from '@tandem/wire/predictions';
import { allocate } from '../messages/binary-data.ts';
import { datatypeOf, type InferRequest, ONNX_PLATFORM, shown, type TensorMetadata } from '../messages/messages.ts';
import { type Asked, HYBRID, inputsInOrder, type OpenModel, wantedOutputs } from './open-model.ts';
import type { FindServedVersion } from './served-versions.ts';

interface HybridModelDependencies {
  readonly findServedVersion: FindServedVersion;
  readonly answerMany: AnswerMany;
}

const USER_ID: TensorMetadata = Object.freeze({ name: 'user_id', type: 'string', shape: [-1] });

/** Outputs with the provenance of a prediction. -1 and the empty string mean null. */
const PROVENANCE = new Map<string, readonly [TensorType, (view: PredictionView) => number | string]>(
  Object.entries({
    'tandem.source': ['string', ({ source }) => source],
    'tandem.reason': ['string', ({ reason }) => reason],
    'tandem.model_version': ['string', ({ modelVersion }) => modelVersion],
    'tandem.variant': ['string', ({ variant }) => variant],
    'tandem.generation': ['string', ({ generation }) => generation ?? ''],
    'tandem.computed_at': ['string', ({ computedAt }) => computedAt ?? ''],
    'tandem.age_seconds': ['int64', ({ ageSeconds }) => ageSeconds ?? -1],
    'tandem.context_version': ['int64', ({ contextVersion }) => contextVersion ?? -1],
    'tandem.last_concerning_version': ['int64', ({ lastConcerningVersion }) => lastConcerningVersion ?? -1],
    'tandem.predicted_from_context_version': [
      'int64',
      ({ predictedFromContextVersion }) => predictedFromContextVersion ?? -1,
    ],
  }),
);

/**
 * The output with the type of a user's problem, or the empty string. If a caller requests this output, a problem of one
 * user does not fail the request.
 */
const ERROR = 'tandem.error';
const ERROR_TENSOR: TensorMetadata = Object.freeze({ name: ERROR, type: 'string', shape: [-1] });

export function createHybridModels({ findServedVersion, answerMany }: HybridModelDependencies) {
  return async function findHybridModel(predictor: string): Promise<OpenModel> {
    const { version } = await findServedVersion(predictor, undefined);
    const fields = version.outputs.map(fieldTensor).filter(({ name }) => !PROVENANCE.has(name) && name !== ERROR);
    const byDefault = [...fields, ...PROVENANCE_TENSORS];
    const outputs = [...byDefault, ERROR_TENSOR];
    const name = `${predictor}${HYBRID}`;
    return {
      metadata: { name, versions: [], platform: ONNX_PLATFORM, inputs: [USER_ID], outputs },
      scope: 'predictions:read',
      async infer(request, asked) {
        const wanted =
          request.outputs === null ? byDefault.map((one) => one.name) : wantedOutputs(request.outputs, outputs);
        let isGone = false;
        asked.onGone(() => {
          isGone = true;
        });
        const { results, tell } = await readAll(predictor, request, asked, answerMany);
        // The caller has disconnected, so nothing is served.
        if (isGone) throw callerGone();
        const fitted = results.map((result) => fitting(result, version.outputs));
        const failed = wanted.includes(ERROR) ? undefined : fitted.find((one) => one instanceof TandemError);
        if (failed) {
          // The caller gets only the error, so the other predictions are not counted as served.
          tell(fitted.map((one) => (one === failed ? one : undefined)));
          throw failed;
        }
        const rows = fitted.map(rowOf);
        const tensors = wanted.map((one) =>
          tensorOf(outputs.find((output) => output.name === one) ?? ERROR_TENSOR, rows),
        );
        tell(fitted);
        return { model: name, version: undefined, parameters: { predictor, ...sourcesOf(rows) }, outputs: tensors };
      },
    };
  };
}

const PROVENANCE_TENSORS = [...PROVENANCE].map(([name, [type]]): TensorMetadata => ({ name, type, shape: [-1] }));

/** Returns the output tensor of a field. Predictions store float16 as float32. */
function fieldTensor({ name, type, width }: OutputField): TensorMetadata {
  return { name, type: type === 'float16' ? 'float32' : type, shape: width === null ? [-1] : [-1, width] };
}

async function readAll(
  predictor: string,
  request: InferRequest,
  asked: Asked,
  answerMany: AnswerMany,
): ReturnType<AnswerMany> {
  const { head, caller, event } = asked;
  const userIds = userIdsIn(request);
  if (request.parameters.timeout) {
    const remedy = 'leave it out: freshness.liveTimeout of the predictor limits a read';
    throw invalidInput('parameters.timeout', 'is not supported by hybrid models', remedy);
  }
  if (head.header(MIN_CONTEXT) !== undefined && userIds.length > 1) throw tokenOfOneUser();
  const ofHeaders = { ...readOptions(head, caller.liveQuota), patience: asked };
  return answerMany({ predictor, userIds, ofHeaders, fieldOf }, event);
}

function fieldOf(i: number): string {
  return `inputs[0].data[${i}]`;
}

function userIdsIn({ inputs }: InferRequest): readonly string[] {
  const [tensor] = inputsInOrder(inputs, [USER_ID]);
  if (tensor === undefined) return [];
  const { type, dims, data } = tensor;
  if (type !== 'string' && type !== 'int64') {
    throw invalidInput(
      'inputs[0].datatype',
      `is ${datatypeOf(type)}`,
      'send user ids as BYTES, or whole-number ids as INT64',
    );
  }
  if (dims.length === 0 || dims.slice(1).some((size) => size !== 1)) {
    throw invalidInput(
      'inputs[0].shape',
      `is ${shown(dims)}`,
      'send one user id in each row: the shape is [users] or [users, 1]',
    );
  }
  if (data.length > MAX_USERS) throw invalidInput('inputs[0]', `has ${data.length} users`, `send at most ${MAX_USERS}`);
  return Array.from(data as readonly string[], String);
}

/** The prediction or the error of one row of the tensors. */
type Row = { readonly view: PredictionView } | { readonly error: TandemError };

function rowOf(result: ReadResult): Row {
  return result instanceof TandemError ? { error: result } : { view: predictionView(result) };
}

/** Returns the number of predictions by source, for callers that do not request the outputs `tandem.…`. */
function sourcesOf(rows: readonly Row[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = { batch: 0, live: 0, stale: 0, default: 0, unverified: 0 };
  for (const row of rows) {
    if ('error' in row) continue;
    const { source, reason } = row.view;
    counts[source] = (counts[source] ?? 0) + 1;
    if (reason === 'unverified') counts.unverified = (counts.unverified ?? 0) + 1;
  }
  return counts;
}

/**
 * Returns the result of a read, or an error if the prediction comes from a model version whose fields differ from those
 * of the stable version.
 */
function fitting(result: ReadResult, fields: readonly OutputField[]): ReadResult {
  if (result instanceof TandemError) return result;
  const { prediction, userId, modelNumber } = result;
  const odd = fields.find(({ name, width, type }) => {
    const values = Object.hasOwn(prediction, name) ? [prediction[name]].flat() : [];
    return values.length !== (width ?? 1) || values.some((value) => !isOfType(value, type));
  });
  if (!odd) return result;
  const text = `The prediction of user ${userId} has no field ${odd.name} of the expected type.`;
  return new TandemError('output_unusable', `${text} Model version ${modelNumber} has other fields.`, {
    remedy: 'use GET /v1/predictions/{predictor}/{userId} until the rollout or the next run has ended',
  });
}

/** Returns whether a value has the type. An integer that a JSON number cannot represent is a string. */
function isOfType(value: unknown, type: TensorType): boolean {
  if (type === 'string') return typeof value === 'string';
  if (type === 'bool') return typeof value === 'boolean';
  if (typeof value === 'string' && (type === 'int64' || type === 'uint64')) return isWideInteger(value, type);
  return typeof value === 'number' && holdsNumber(type, value);
}

function isWideInteger(text: string, type: 'int64' | 'uint64'): boolean {
  if (!/^-?\d{1,20}$/.test(text)) return false;
  const integer = BigInt(text);
  return integer === (type === 'int64' ? BigInt.asIntN(64, integer) : BigInt.asUintN(64, integer));
}

function tensorOf({ name, type, shape }: TensorMetadata, rows: readonly Row[]): WireTensor {
  const width = shape[1] ?? 1;
  const values = rows.flatMap((row) => valuesOf(row, name, type, width));
  return { name, type, dims: [rows.length, ...shape.slice(1)], data: dataOf(type, values) };
}

/** Returns the values of one output in a row. The values of an error are zeros and empty strings. */
function valuesOf(row: Row, name: string, type: TensorType, width: number): readonly (number | string | boolean)[] {
  if ('error' in row) {
    if (name === ERROR) return [problemType(row.error.code)];
    return new Array<number | string>(width).fill(type === 'string' ? '' : 0);
  }
  if (name === ERROR) return [''];
  const provenance = PROVENANCE.get(name);
  const value: PredictionValue | undefined = provenance ? provenance[1](row.view) : row.view.prediction[name];
  return [value ?? 0].flat() as readonly (number | string | boolean)[];
}

function dataOf(type: TensorType, values: readonly (number | string | boolean)[]): TensorData {
  if (type === 'string') return values.map(String);
  const isWide = type === 'int64' || type === 'uint64';
  const numbers = values.map((value) => (isWide ? BigInt(value) : Number(value)));
  const data = allocate(type, values.length) as { set(values: readonly (number | bigint)[]): void } & TensorData;
  data.set(numbers);
  return data;
}
