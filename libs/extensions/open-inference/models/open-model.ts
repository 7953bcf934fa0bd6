/** A predictor as a model of the protocol, with inputs and outputs, for both HTTP and gRPC. */

import type { Caller } from '@tandem/endpoints/access';
import { invalidInput } from '@tandem/freshness/errors';
import type { CallerPatience } from '@tandem/freshness/read-options';
import type { RequestHead } from '@tandem/http-server/foreign-request';
import type { WireTensor } from '@tandem/inference/process/protocol';
import type { Scope } from '@tandem/prediction/keys/api-key';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import {
  type InferAnswer,
  type InferRequest,
  type ModelMetadata,
  shown,
  type TensorMetadata,
} from '../messages/messages.ts';

/** The caller and the headers of a request. Its deadline is that of the transport. */
export interface Asked extends CallerPatience {
  readonly head: RequestHead;
  readonly caller: Caller;
  readonly event: WideEvent;
}

export interface OpenModel {
  readonly metadata: ModelMetadata;
  /** The scope that a key needs to infer with it. */
  readonly scope: Scope;
  infer(request: InferRequest, asked: Asked): Promise<InferAnswer>;
}

/** The scopes of models. A key with either may read metadata. */
export const MODEL_SCOPES: readonly Scope[] = Object.freeze(['predictions:read', 'models:infer']);

/**
 * Finds a model by its name and version. Rejects with `unknown_predictor` or `unknown_model_version`.
 * @param version the number; undefined: the server chooses
 */
export type FindOpenModel = (name: string, version: string | undefined) => Promise<OpenModel>;

/** The suffix of the view that takes user ids. */
export const HYBRID = '.hybrid';

/** Returns the inputs in the model's order. Throws `invalid_input` for an unknown, repeated or missing one. */
export function inputsInOrder(given: readonly WireTensor[], taken: readonly TensorMetadata[]): readonly WireTensor[] {
  const names = taken.map(({ name }) => name);
  for (const [i, { name }] of given.entries()) {
    const field = `inputs[${i}].name`;
    if (!names.includes(name)) throw invalidInput(field, `is ${shown(name)}`, `the model takes ${names.join(', ')}`);
    if (given.findIndex((one) => one.name === name) < i)
      throw invalidInput(field, `is ${shown(name)} again`, 'send it once');
  }
  return taken.map(({ name }) => {
    const tensor = given.find((one) => one.name === name);
    if (tensor) return tensor;
    throw invalidInput('inputs', `has no ${shown(name)}`, `the model takes ${names.join(', ')}: send each`);
  });
}

/** Returns the names of the requested outputs. Throws `invalid_input` for an unknown or repeated output. */
export function wantedOutputs(wanted: readonly string[], given: readonly TensorMetadata[]): readonly string[] {
  for (const [i, name] of wanted.entries()) {
    const field = `outputs[${i}].name`;
    const names = given.map((output) => output.name);
    if (!names.includes(name)) throw invalidInput(field, `is ${shown(name)}`, `the model returns ${names.join(', ')}`);
    if (wanted.indexOf(name) < i) throw invalidInput(field, `is ${shown(name)} again`, 'request it once');
  }
  return wanted;
}
