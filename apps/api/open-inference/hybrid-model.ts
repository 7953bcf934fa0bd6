/**
 * A predictor as a model that takes user ids and gives certified predictions: what `POST /v1/predictions/{predictor}` answers,
 * as tensors. A field of the prediction is an output; where each prediction comes from is in the outputs `tandem.…`.
 */
import { predictionView } from '@tandem/embedded/prediction-view';
import type { Answer, ReadResult } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import type { OutputField, PredictionValue, TensorType } from '@tandem/freshness/predictor';
import type { TensorData, WireTensor } from '@tandem/inference/process/protocol';
import { allocate } from '@tandem/open-inference/binary-data';
import {
  datatypeOf,
  type InferRequest,
  ONNX_PLATFORM,
  refused,
  shown,
  type TensorMetadata,
} from '@tandem/open-inference/messages';
import type { PredictionView } from '@tandem/wire/predictions';
import { MAX_USERS } from '@tandem/wire/predictions';
import { problemType } from '../http/problem.ts';
import type { AnswerMany } from '../routes/predictions/answer-many.ts';
import { MIN_CONTEXT, readOptions, tokenOfOneUser } from '../routes/predictions/read-options.ts';
import { type Asked, HYBRID, inputsInOrder, type OpenModel, wantedOutputs } from './open-model.ts';
import type { FindServedVersion } from './served-versions.ts';

interface HybridModelDependencies {
  readonly findServedVersion: FindServedVersion;
  readonly answerMany: AnswerMany;
}

const USER_ID: TensorMetadata = Object.freeze({ name: 'user_id', type: 'string', shape: [-1] });

/** How an answer tells where it comes from; -1 and the empty text where there is nothing to tell. */
const PROVENANCE: Readonly<Record<string, readonly [TensorType, (view: PredictionView) => number | string]>> = {
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
};

/** The type of a user's problem; empty: none. A caller that asks for it gets an answer for the other users. */
const ERROR = 'tandem.error';
const ERROR_TENSOR: TensorMetadata = Object.freeze({ name: ERROR, type: 'string', shape: [-1] });

export function createHybridModels({ findServedVersion, answerMany }: HybridModelDependencies) {
  return async function findHybridModel(predictor: string): Promise<OpenModel> {
    const { version } = await findServedVersion(predictor, undefined);
    const fields = version.outputs.map(fieldTensor);
    const byDefault = [...fields, ...PROVENANCE_TENSORS];
    const outputs = [...byDefault, ERROR_TENSOR];
    const name = `${predictor}${HYBRID}`;
    return {
      metadata: { name, versions: [], platform: ONNX_PLATFORM, inputs: [USER_ID], outputs },
      async infer(request, asked) {
        const wanted =
          request.outputs === null ? byDefault.map((one) => one.name) : wantedOutputs(request.outputs, outputs);
        const results = await readAll(predictor, request, asked, answerMany);
        const rows = rowsOf(results, version.outputs, wanted.includes(ERROR));
        const tensors = wanted.map((one) =>
          tensorOf(outputs.find((output) => output.name === one) ?? ERROR_TENSOR, rows),
        );
        return { model: name, version: undefined, parameters: { predictor }, outputs: tensors };
      },
    };
  };
}

const PROVENANCE_TENSORS = Object.entries(PROVENANCE).map(
  ([name, [type]]): TensorMetadata => ({ name, type, shape: [-1] }),
);

/** Halves are kept as float32. */
function fieldTensor({ name, type, width }: OutputField): TensorMetadata {
  return { name, type: type === 'float16' ? 'float32' : type, shape: width === null ? [-1] : [-1, width] };
}

async function readAll(
  predictor: string,
  request: InferRequest,
  { head, caller, event }: Asked,
  answerMany: AnswerMany,
): Promise<readonly ReadResult[]> {
  const userIds = userIdsIn(request);
  if (head.header(MIN_CONTEXT) !== undefined && userIds.length > 1) throw tokenOfOneUser();
  const demanded = readOptions(head, caller.liveQuota);
  const { results, tell } = await answerMany({ predictor, userIds, demanded, fieldOf }, event);
  tell();
  return results;
}

function fieldOf(i: number): string {
  return `inputs[0].data[${i}]`;
}

function userIdsIn({ inputs }: InferRequest): readonly string[] {
  const [tensor] = inputsInOrder(inputs, [USER_ID]);
  if (tensor === undefined) return [];
  const { type, dims, data } = tensor;
  if (type !== 'string' && type !== 'int64') {
    throw refused('inputs[0].datatype', `is ${datatypeOf(type)}`, 'send user ids as BYTES, or whole numbers as INT64');
  }
  if (dims.length === 0 || dims.slice(1).some((size) => size !== 1)) {
    throw refused('inputs[0].shape', `is ${shown(dims)}`, 'give one user id a row: [users] or [users, 1]');
  }
  if (data.length > MAX_USERS) throw refused('inputs[0]', `has ${data.length} users`, `send at most ${MAX_USERS}`);
  return Array.from(data as readonly string[], String);
}

/** What a row of the tensors is taken from. */
type Row = { readonly view: PredictionView } | { readonly error: TandemError };

/** Throws the first error, unless the caller asked for errors by user. */
function rowsOf(results: readonly ReadResult[], fields: readonly OutputField[], hasErrors: boolean): readonly Row[] {
  return results.map((result) => {
    const row = result instanceof TandemError ? { error: result } : rowOf(result, fields);
    if ('error' in row && !hasErrors) throw row.error;
    return row;
  });
}

/** A rollout may serve a user from a version with other fields than the stable one's. */
function rowOf(answer: Answer, fields: readonly OutputField[]): Row {
  const odd = fields.find(
    ({ name, width }) =>
      !Object.hasOwn(answer.prediction, name) || [answer.prediction[name]].flat().length !== (width ?? 1),
  );
  if (!odd) return { view: predictionView(answer) };
  const text = `The prediction of user ${answer.userId} has no field ${odd.name} of the model's form.`;
  return {
    error: new TandemError('output_unusable', `${text} Model version ${answer.modelNumber} gives other fields.`, {
      remedy: 'read it by GET /v1/predictions/{predictor}/{userId} until the rollout has ended',
    }),
  };
}

function tensorOf({ name, type, shape }: TensorMetadata, rows: readonly Row[]): WireTensor {
  const width = shape[1] ?? 1;
  const values = rows.flatMap((row) => valuesOf(row, name, type, width));
  return { name, type, dims: [rows.length, ...shape.slice(1)], data: dataOf(type, values) };
}

/** An error's values are zeros and empty texts. */
function valuesOf(row: Row, name: string, type: TensorType, width: number): readonly (number | string | boolean)[] {
  if ('error' in row) {
    if (name === ERROR) return [problemType(row.error.code)];
    return new Array<number | string>(width).fill(type === 'string' ? '' : 0);
  }
  if (name === ERROR) return [''];
  const told = Object.hasOwn(PROVENANCE, name) ? PROVENANCE[name] : undefined;
  const value: PredictionValue | undefined = told ? told[1](row.view) : row.view.prediction[name];
  return [value ?? 0].flat() as readonly (number | string | boolean)[];
}

function dataOf(type: TensorType, values: readonly (number | string | boolean)[]): TensorData {
  if (type === 'string') return values.map(String);
  const isWide = type === 'int64' || type === 'uint64';
  // An integer that a JSON number cannot carry is a text.
  const numbers = values.map((value) => (isWide ? BigInt(value) : Number(value)));
  const data = allocate(type, values.length) as { set(values: readonly (number | bigint)[]): void } & TensorData;
  data.set(numbers);
  return data;
}
