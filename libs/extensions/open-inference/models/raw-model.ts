/**
 * Serves the model of a predictor: tensors in, tensors out, in the same queue and the same inference runs as live
 * reads. It neither reads nor stores records of users, and certifies nothing.
 */

import type { Caller } from '@tandem/endpoints/access';
import { callerGone, invalidInput, isTandemError, TandemError } from '@tandem/freshness/errors';
import type { Infer } from '@tandem/inference/live/infer-request';
import type { WireTensor } from '@tandem/inference/process/protocol';
import type { EncodedInput } from '@tandem/inference/tensors/batch-tensors';
import { LIVE_QUEUE_USERS } from '@tandem/prediction/models/model-limits';
import { RowsRefused, ScoringCrash } from '@tandem/prediction/scoring/scoring';
import { allocate } from '../messages/binary-data.ts';
import {
  datatypeOf,
  type InferRequest,
  ONNX_PLATFORM,
  type Parameter,
  shown,
  type TensorMetadata,
} from '../messages/messages.ts';
import { type Asked, type FindOpenModel, inputsInOrder, type OpenModel, wantedOutputs } from './open-model.ts';
import type { FindServedVersion, ServedVersion } from './served-versions.ts';

interface RawModelDependencies {
  readonly findServedVersion: FindServedVersion;
  readonly infer: Infer;
}

/** The default limit of the queue of live inference. */
const MOST_ROWS = LIVE_QUEUE_USERS;
/** The longest `liveTimeout` that a config may set. */
const MOST_MS = 30_000;

export function createRawModels({ findServedVersion, infer }: RawModelDependencies): FindOpenModel {
  const known = new WeakMap<ServedVersion, OpenModel>();
  return async function findRawModel(name, number) {
    const served = await findServedVersion(name, number);
    const model = known.get(served) ?? rawModel(served, infer);
    known.set(served, model);
    return model;
  };
}

function rawModel(served: ServedVersion, infer: Infer): OpenModel {
  const { predictor, version, variant, numbers, inputs, outputs } = served;
  const { name } = predictor;
  const answered = {
    ...{ model: name, version: String(version.number) },
    parameters: { variant, artifact: version.artifactHash },
  };
  return {
    metadata: { name, versions: numbers, platform: ONNX_PLATFORM, inputs, outputs },
    scope: 'models:infer',
    infer: async (request, asked) => ({ ...answered, outputs: await inferRaw(served, request, asked, infer) }),
  };
}

async function inferRaw(
  served: ServedVersion,
  request: InferRequest,
  { caller, event, leftMs, onGone }: Asked,
  infer: Infer,
): Promise<readonly WireTensor[]> {
  const { predictor, version } = served;
  const { liveTimeoutMs } = predictor.policy.freshness;
  const tensors = inputsInOrder(request.inputs, served.inputs);
  const rows = rowsOf(tensors, request);
  const inputs = tensors.map((tensor, i) => encode(tensor, served.inputs[i] as TensorMetadata, rows, request));
  const outputs = request.outputs === null ? served.outputNames : wantedOutputs(request.outputs, served.outputs);
  const callersMs = leftMs();
  // The deadline is checked before the quota and the queue, because an answer would be too late in any case.
  if (callersMs <= 0) throw callerGone();
  const timeoutMs = timeFor(request.parameters.timeout, callersMs, liveTimeoutMs);
  event.add({ predictor: predictor.name, rows });
  if (rows === 0) return outputs.map((name) => emptyTensor(name, served.outputs));
  takeQuota(caller, rows);
  const isAlone = !outputs.every((name) => served.triedOutputs.has(name));
  const work = { version, inputs, rows, outputs, timeoutMs, runTimeoutMs: liveTimeoutMs, isAlone };
  try {
    return await infer({ ...work, onGone });
  } catch (error) {
    if (error instanceof ScoringCrash) throw crashed(error);
    if (error instanceof RowsRefused && error.code === 'live_failed') throw rowsRefused(error);
    // If the deadline is longer than liveTimeout, the model was too slow; otherwise the caller's deadline was too
    // short.
    const isCallersTime = timeoutMs === callersMs && callersMs < liveTimeoutMs;
    if (isCallersTime && isTandemError(error, 'live_timeout')) throw callerGone();
    if (!isTandemError(error, 'overloaded')) throw error;
    caller.liveQuota?.giveBack(rows);
    throw overloaded(error);
  }
}

/** Returns the number of rows. Throws `invalid_input` if it differs between inputs or is too large. */
function rowsOf(tensors: readonly WireTensor[], { inputs }: InferRequest): number {
  const [rows, ...others] = tensors.map(({ dims }) => dims[0]);
  const odd = tensors.find((_, i) => i > 0 && others[i - 1] !== rows) ?? (rows === undefined ? tensors[0] : undefined);
  if (odd) {
    const field = `inputs[${inputs.indexOf(odd)}].shape`;
    throw invalidInput(
      field,
      `is ${shown(odd.dims)}`,
      'give every input the same number of rows as its first dimension',
    );
  }
  if (rows !== undefined && rows <= MOST_ROWS) return rows;
  throw invalidInput('inputs', `have ${rows ?? 0} rows`, `send at most ${MOST_ROWS} in a request`);
}

function encode(tensor: WireTensor, taken: TensorMetadata, rows: number, { inputs }: InferRequest): EncodedInput {
  const field = `inputs[${inputs.indexOf(tensor)}]`;
  if (tensor.type !== taken.type) {
    const remedy = `the model takes ${datatypeOf(taken.type)}`;
    throw invalidInput(`${field}.datatype`, `is ${datatypeOf(tensor.type)}`, remedy);
  }
  const { name, type, data } = tensor;
  const width = taken.shape[1] ?? 1;
  if (tensor.dims.slice(1).reduce((product, size) => product * size, 1) !== width) {
    throw invalidInput(`${field}.shape`, `is ${shown(tensor.dims)}`, `the model takes ${shown([rows, width])}`);
  }
  return taken.shape.length === 1 ? { name, type, width, rank: 1, data } : { name, type, width, data };
}

function emptyTensor(name: string, outputs: readonly TensorMetadata[]): WireTensor {
  const { type, shape } = outputs.find((output) => output.name === name) as TensorMetadata;
  const dims = [0, ...shape.slice(1).map((size) => Math.max(0, size))];
  return { name, type, dims, data: type === 'string' ? [] : allocate(type, 0) };
}

/**
 * Returns the most milliseconds for an answer: the caller's limit, or else the predictor's limit for live reads. Throws
 * `invalid_input`.
 * @param timeout the caller's limit in microseconds, as in Triton; 0: none
 * @param leftMs milliseconds until the deadline of the transport; Infinity: none
 */
function timeFor(timeout: Parameter | undefined, leftMs: number, liveTimeoutMs: number): number {
  if (timeout !== undefined && (typeof timeout !== 'number' || !(timeout >= 0))) {
    throw invalidInput('parameters.timeout', `is ${shown(timeout)}`, 'give a number of microseconds');
  }
  const stated = Math.min(timeout ? timeout / 1_000 : Number.POSITIVE_INFINITY, leftMs);
  return stated === Number.POSITIVE_INFINITY ? liveTimeoutMs : Math.min(stated, MOST_MS);
}

/** Takes all rows from the key's quota, or none. Throws `rate_limited`. */
function takeQuota({ liveQuota }: Caller, rows: number): void {
  if (liveQuota === undefined) return;
  const taken = liveQuota.take(rows);
  if (taken === rows) return;
  liveQuota.giveBack(taken);
  const { most, perSecond } = liveQuota;
  throw new TandemError('rate_limited', `The request has ${rows} rows; the key may infer ${perSecond} rows a second.`, {
    ...(rows > most ? {} : { retryAfter: 1 }),
    remedy:
      rows > most
        ? `send at most ${Math.floor(most)} rows in a request; --live-rate of tandem key limit changes this`
        : 'retry after the time in Retry-After, or send fewer rows; --live-rate of tandem key limit changes this',
  });
}

function overloaded(cause: TandemError): TandemError {
  return new TandemError('overloaded', 'Other requests wait for the model, so it cannot answer these rows in time.', {
    retryAfter: cause.retryAfter ?? 1,
    remedy: 'retry after the time in Retry-After, send fewer rows, or allow more time (the parameter timeout)',
    cause,
  });
}

/** The most rows that a text names. */
const MOST_NAMED = 10;

/** Returns the error of rows that were not run, because the model hung or crashed with them before. */
function rowsRefused(cause: RowsRefused): TandemError {
  const { rows, retryAfter = 1 } = cause;
  const named = [...rows.keys()].slice(0, MOST_NAMED).join(', ');
  const more = rows.size > MOST_NAMED ? ` and ${rows.size - MOST_NAMED} more` : '';
  const which = `${rows.size === 1 ? 'row' : 'rows'} ${named}${more}`;
  const text = `The inputs contain ${which} (counted from 0), with which the model is not run for now: ${cause.message}.`;
  return new TandemError('live_failed', text, {
    retryAfter,
    remedy: `check the input values of ${which}, send the other rows without ${rows.size === 1 ? 'it' : 'them'}, or wait ${retryAfter} s: then the model is tried with the same values`,
    cause,
  });
}

function crashed(cause: ScoringCrash): TandemError {
  return new TandemError('live_failed', `These rows made the model end its process: ${cause.message}.`, {
    remedy: 'check the input values; the same rows would end the process again',
    cause,
  });
}
