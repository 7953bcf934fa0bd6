/**
 * Reads requests and renders answers over HTTP: JSON, followed by the tensors that are sent as binary data (Triton's
 * extension `binary_tensor_data`). The parameter `binary_data_size` of a tensor means that its bytes follow the JSON,
 * in the order of the tensors. The header `Inference-Header-Content-Length` has the length of the JSON.
 */
import { invalidInput } from '@tandem/freshness/errors';
import type { WireTensor } from '@tandem/inference/process/protocol';
import { readBinary, writeBinary } from './binary-data.ts';
import { flatten, jsonDataOf, readJsonData } from './json-data.ts';
import {
  datatypeOf,
  elementsOf,
  type InferAnswer,
  type InferRequest,
  type ModelMetadata,
  type Parameters,
  refuseForeign,
  tensorView,
  typeOf,
} from './messages.ts';

export const JSON_LENGTH_HEADER = 'inference-header-content-length';

/** The name of the binary extension in the server's metadata. */
export const BINARY_EXTENSION = 'binary_tensor_data';

/** The JSON of a request, after its form was checked. */
interface JsonRequest {
  readonly id?: string | undefined;
  readonly parameters?: Parameters | undefined;
  readonly inputs: readonly JsonTensor[];
  readonly outputs?: readonly JsonOutput[] | undefined;
}

interface JsonTensor extends JsonOutput {
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data?: readonly unknown[] | undefined;
}

interface JsonOutput {
  readonly name: string;
  readonly parameters?: Parameters | undefined;
}

interface HttpRequest {
  readonly request: InferRequest;
  /** Returns whether the caller wants this output as binary data. */
  isBinary(output: string): boolean;
}

/**
 * Reads a request. Throws `invalid_input`.
 * @param binary the bytes after the JSON in the body
 */
export function readHttpRequest(json: JsonRequest, binary: Uint8Array): HttpRequest {
  const { id, parameters = {}, outputs } = json;
  refuseForeign(parameters, 'parameters');
  let at = 0;
  const inputs = json.inputs.map((tensor, i) => {
    const field = `inputs[${i}]`;
    refuseForeign(tensor.parameters ?? {}, `${field}.parameters`);
    const size = tensor.parameters?.binary_data_size;
    if (size === undefined) return readTensor(tensor, field);
    const end = at + binarySize(size, tensor, field);
    if (end > binary.length) throw missingBytes(field, end - at, binary.length - at);
    const bytes = binary.subarray(at, end);
    at = end;
    return readTensor(tensor, field, bytes);
  });
  if (at < binary.length) throw unclaimedBytes(binary.length - at);
  outputs?.forEach((output, i) => {
    refuseForeign(output.parameters ?? {}, `outputs[${i}].parameters`);
  });
  const byDefault = parameters.binary_data_output === true;
  const binaryBy = new Map(outputs?.map((output) => [output.name, output.parameters?.binary_data]));
  return {
    request: { id, parameters, inputs, outputs: outputs?.length ? outputs.map(({ name }) => name) : null },
    isBinary: (output) => (binaryBy.get(output) ?? byDefault) === true,
  };
}

function readTensor({ name, datatype, shape, data }: JsonTensor, field: string, bytes?: Uint8Array): WireTensor {
  const type = typeOf(datatype, field);
  const count = elementsOf(shape, field);
  const where = `${field}.data`;
  if (bytes) return { name, type, dims: shape, data: readBinary(type, bytes, count, where) };
  if (data) return { name, type, dims: shape, data: readJsonData(type, flatten(data, shape, where), count, where) };
  throw invalidInput(where, 'is missing', 'send an array, or binary data with the parameter binary_data_size');
}

function binarySize(size: unknown, { data }: JsonTensor, field: string): number {
  const where = `${field}.parameters.binary_data_size`;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalidInput(where, `is ${JSON.stringify(size)}`, "give the number of the tensor's bytes");
  }
  if (data === undefined) return size;
  throw invalidInput(where, 'is sent together with data', 'send the values once, as data or as binary data');
}

function missingBytes(field: string, wanted: number, there: number): Error {
  return invalidInput(
    field,
    `announces ${wanted} bytes of binary data, but ${there} are left`,
    `send the bytes after the JSON, and the length of the JSON in ${JSON_LENGTH_HEADER}`,
  );
}

function unclaimedBytes(left: number): Error {
  const remedy = 'give each tensor that is sent as binary data its binary_data_size';
  return invalidInput('The body', `has ${left} bytes that no input announces`, remedy);
}

interface HttpAnswer {
  readonly body: string | Buffer;
  /** The length of the JSON in bytes, if binary data follow; undefined if the body is only JSON. */
  readonly jsonLength: number | undefined;
}

/** Renders an answer. Throws `output_unusable` if JSON cannot carry an output. */
export function renderHttpAnswer(answer: InferAnswer, { request, isBinary }: HttpRequest): HttpAnswer {
  const binary: Buffer[] = [];
  const outputs = answer.outputs.map((tensor) => {
    const { name, type, dims, data } = tensor;
    const head = { name, datatype: datatypeOf(type), shape: dims };
    if (!isBinary(name)) return `${JSON.stringify(head).slice(0, -1)},"data":${jsonDataOf(tensor)}}`;
    const bytes = writeBinary(data);
    binary.push(bytes);
    return JSON.stringify({ ...head, parameters: { binary_data_size: bytes.length } });
  });
  const { model, version, parameters } = answer;
  const head = { model_name: model, model_version: version, id: request.id, parameters };
  const json = `${JSON.stringify(head).slice(0, -1)},"outputs":[${outputs.join()}]}`;
  if (binary.length === 0) return { body: json, jsonLength: undefined };
  const jsonBytes = Buffer.from(json, 'utf8');
  return { body: Buffer.concat([jsonBytes, ...binary]), jsonLength: jsonBytes.length };
}

/** Returns a model's metadata in the form of JSON. */
export function metadataView({ name, versions, platform, inputs, outputs }: ModelMetadata) {
  return {
    name,
    ...(versions.length === 0 ? {} : { versions }),
    platform,
    inputs: inputs.map(tensorView),
    outputs: outputs.map(tensorView),
  };
}
