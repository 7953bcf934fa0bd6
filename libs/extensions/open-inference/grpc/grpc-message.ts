/**
 * Converts requests and answers over gRPC, which are objects of the protocol's messages. An answer has raw contents if
 * the request has them. float16 is always raw, since typed contents have no field for it.
 */
import { invalidInput } from '@tandem/freshness/errors';
import type { TensorType } from '@tandem/freshness/predictor';
import type { TensorData, WireTensor } from '@tandem/inference/process/protocol';
import { decodeText, readBinary, writeBinary } from '../messages/binary-data.ts';
import { readJsonData } from '../messages/json-data.ts';
import {
  datatypeOf,
  elementsOf,
  FORMS,
  type InferAnswer,
  type InferRequest,
  type ModelMetadata,
  otherCount,
  type Parameter,
  type Parameters,
  refuseForeign,
  tensorView,
  typeOf,
} from '../messages/messages.ts';

/** A 64-bit integer as the decoder returns it. */
interface Long {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

interface Contents {
  readonly bool_contents?: readonly boolean[];
  readonly int_contents?: readonly number[];
  readonly int64_contents?: readonly Long[];
  readonly uint_contents?: readonly number[];
  readonly uint64_contents?: readonly Long[];
  readonly fp32_contents?: readonly number[];
  readonly fp64_contents?: readonly number[];
  readonly bytes_contents?: readonly Uint8Array[];
}

/** The value of a parameter; exactly one of the fields is present. */
interface InferParameter {
  readonly bool_param?: boolean;
  readonly int64_param?: Long;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: Long;
}

type ParameterMap = Readonly<Record<string, InferParameter>>;

interface GrpcTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly Long[];
  readonly parameters: ParameterMap;
  readonly contents?: Contents | null;
}

/** `ModelInferRequest` */
export interface GrpcInferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: ParameterMap;
  readonly inputs: readonly GrpcTensor[];
  readonly outputs: readonly { readonly name: string; readonly parameters: ParameterMap }[];
  readonly raw_input_contents: readonly Uint8Array[];
}

/** The most characters of a request's id, which the answer repeats; the same as over HTTP. */
const MOST_ID = 1_024;

/** Reads a request. Throws `invalid_input`. */
export function readGrpcRequest(message: GrpcInferRequest): InferRequest {
  const { id, inputs, outputs, raw_input_contents: raw } = message;
  if (id.length > MOST_ID) throw invalidInput('id', `has ${id.length} characters`, `send at most ${MOST_ID}`);
  const parameters = parametersIn(message.parameters, 'parameters');
  outputs.forEach((output, i) => {
    parametersIn(output.parameters, `outputs[${i}].parameters`);
  });
  if (raw.length > 0 && raw.length !== inputs.length) {
    const remedy = 'send raw contents for every input, in their order, or for none';
    throw invalidInput('raw_input_contents', `has ${raw.length} entries for ${inputs.length} inputs`, remedy);
  }
  return {
    id: id === '' ? undefined : id,
    parameters,
    inputs: inputs.map((tensor, i) => readTensor(tensor, `inputs[${i}]`, raw[i])),
    outputs: outputs.length === 0 ? null : outputs.map(({ name }) => name),
  };
}

/** Reads parameters. Throws `invalid_input` for unsupported ones. */
function parametersIn(map: ParameterMap, field: string): Parameters {
  const parameters = Object.fromEntries(Object.entries(map).map(([name, value]) => [name, parameterIn(value)]));
  refuseForeign(parameters, field);
  return parameters;
}

function parameterIn(parameter: InferParameter): Parameter {
  const { bool_param, int64_param, string_param, double_param, uint64_param } = parameter;
  const integer = int64_param ?? uint64_param;
  return integer ? Number(bigIntOf(integer)) : (bool_param ?? string_param ?? double_param ?? '');
}

function readTensor(tensor: GrpcTensor, field: string, raw: Uint8Array | undefined): WireTensor {
  const { name, datatype, contents } = tensor;
  parametersIn(tensor.parameters, `${field}.parameters`);
  const type = typeOf(datatype, field);
  const dims = tensor.shape.map((size) => Number(bigIntOf(size)));
  const count = elementsOf(dims, field);
  if (raw) {
    if (contents) throw invalidInput(`${field}.contents`, 'is sent together with raw contents', 'send the values once');
    return { name, type, dims, data: readBinary(type, raw, count, `${field}: its raw contents`) };
  }
  return { name, type, dims, data: readContents(type, contents ?? {}, count, `${field}.contents`) };
}

function readContents(type: TensorType, contents: Contents, count: number, field: string): TensorData {
  const name = FORMS[type].contents;
  if (name === null) throw invalidInput(field, 'cannot hold FP16', 'send raw_input_contents');
  const values = contents[name] ?? [];
  const where = `${field}.${name}`;
  if (values.length !== count) throw otherCount(where, values.length, count);
  if (name === 'bytes_contents') {
    const texts = (values as readonly Uint8Array[]).map((bytes, i) => decodeText(bytes, `${where}[${i}]`));
    return readJsonData(type, texts, count, where);
  }
  if (name !== 'int64_contents' && name !== 'uint64_contents') {
    // Floats may be NaN or infinite, which JSON cannot represent.
    if (type === 'float32' || type === 'float64') return floatsIn(type, values as readonly number[], count, where);
    return readJsonData(type, values, count, where);
  }
  const integers = BigInt64Array.from(values as readonly Long[], bigIntOf);
  return readBinary(type, new Uint8Array(integers.buffer), count, where);
}

function floatsIn(type: 'float32' | 'float64', values: readonly number[], count: number, field: string): TensorData {
  const floats = type === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
  return readBinary(type, new Uint8Array(floats.buffer), count, field);
}

function bigIntOf({ low, high, unsigned }: Long): bigint {
  const bits = (BigInt(high) << 32n) | BigInt(low >>> 0);
  return unsigned ? BigInt.asUintN(64, bits) : BigInt.asIntN(64, bits);
}

function longOf(value: bigint, unsigned: boolean): Long {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)), unsigned };
}

/** Returns `ModelInferResponse`. */
export function grpcAnswer(answer: InferAnswer, { id, raw_input_contents: raw, inputs }: GrpcInferRequest) {
  const { model, version = '', parameters, outputs } = answer;
  const isRaw = raw.length > 0 || inputs.length === 0 || outputs.some(({ type }) => type === 'float16');
  return {
    ...{ model_name: model, model_version: version, id },
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, parameterOf(value)])),
    outputs: outputs.map(({ name, type, dims, data }) => ({
      ...{ name, datatype: datatypeOf(type), shape: dims },
      ...(isRaw ? {} : { contents: contentsOf(type, data) }),
    })),
    raw_output_contents: isRaw ? outputs.map(({ data }) => writeBinary(data)) : [],
  };
}

function contentsOf(type: TensorType, data: TensorData): Contents {
  const name = FORMS[type].contents as keyof Contents;
  if (type === 'string') return { [name]: (data as readonly string[]).map((text) => Buffer.from(text, 'utf8')) };
  if (type === 'bool') return { [name]: Array.from(data as Uint8Array, (value) => value === 1) };
  if (type === 'int64' || type === 'uint64') {
    return { [name]: Array.from(data as BigInt64Array, (value) => longOf(value, type === 'uint64')) };
  }
  return { [name]: Array.from(data as Float32Array) };
}

function parameterOf(value: Parameter): object {
  if (typeof value === 'boolean') return { bool_param: value };
  if (typeof value === 'string') return { string_param: value };
  return Number.isSafeInteger(value) ? { int64_param: value } : { double_param: value };
}

/** Returns `ModelMetadataResponse`. */
export function grpcMetadata({ name, versions, platform, inputs, outputs }: ModelMetadata) {
  return { name, versions, platform, inputs: inputs.map(tensorView), outputs: outputs.map(tensorView) };
}
