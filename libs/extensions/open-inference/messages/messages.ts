/**
 * Messages of the Open Inference Protocol v2, for any transport. Tensors have the form of inference children: float16
 * as bits, bool as bytes 0 and 1.
 */
import { invalidInput, type TandemError } from '@tandem/freshness/errors';
import type { TensorType } from '@tandem/freshness/predictor';
import type { WireTensor } from '@tandem/inference/process/protocol';

/** A value of `parameters`. */
export type Parameter = string | number | boolean;

export type Parameters = Readonly<Record<string, Parameter>>;

/** An input or output as a model declares it. */
export interface TensorMetadata {
  readonly name: string;
  readonly type: TensorType;
  /** The sizes; -1 for any size. */
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  /** The versions that a request may name; empty for a model without versions. */
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface InferRequest {
  /** The id of the request, which the answer repeats. */
  readonly id: string | undefined;
  readonly parameters: Parameters;
  readonly inputs: readonly WireTensor[];
  /** Names of the wanted outputs; null for all. */
  readonly outputs: readonly string[] | null;
}

export interface InferAnswer {
  readonly model: string;
  /** The model version; undefined for a model without versions. */
  readonly version: string | undefined;
  readonly parameters: Parameters;
  readonly outputs: readonly WireTensor[];
}

/** The platform of every model, one of the protocol's names. */
export const ONNX_PLATFORM = 'onnx_onnxv1';

/** The forms of an element type: its name in the protocol, its field of typed gRPC contents, and its array. */
export const FORMS = {
  bool: { datatype: 'BOOL', contents: 'bool_contents', array: Uint8Array },
  uint8: { datatype: 'UINT8', contents: 'uint_contents', array: Uint8Array },
  uint16: { datatype: 'UINT16', contents: 'uint_contents', array: Uint16Array },
  uint32: { datatype: 'UINT32', contents: 'uint_contents', array: Uint32Array },
  uint64: { datatype: 'UINT64', contents: 'uint64_contents', array: BigUint64Array },
  int8: { datatype: 'INT8', contents: 'int_contents', array: Int8Array },
  int16: { datatype: 'INT16', contents: 'int_contents', array: Int16Array },
  int32: { datatype: 'INT32', contents: 'int_contents', array: Int32Array },
  int64: { datatype: 'INT64', contents: 'int64_contents', array: BigInt64Array },
  // The bits of each float16. Typed contents have no field for it.
  float16: { datatype: 'FP16', contents: null, array: Uint16Array },
  float32: { datatype: 'FP32', contents: 'fp32_contents', array: Float32Array },
  float64: { datatype: 'FP64', contents: 'fp64_contents', array: Float64Array },
  string: { datatype: 'BYTES', contents: 'bytes_contents', array: null },
} as const satisfies Record<TensorType, object>;

const TYPES = new Map<string, TensorType>(
  Object.entries(FORMS).map(([type, { datatype }]) => [datatype, type as TensorType]),
);

/** Returns the protocol's name of an element type. */
export function datatypeOf(type: TensorType): string {
  return FORMS[type].datatype;
}

/** Returns the metadata of a tensor in the form of both transports. */
export function tensorView({ name, type, shape }: TensorMetadata) {
  return { name, datatype: datatypeOf(type), shape };
}

/**
 * Returns the element type for a name of the protocol. Throws `invalid_input`.
 * @param field the path of the tensor
 */
export function typeOf(datatype: string, field: string): TensorType {
  const type = TYPES.get(datatype);
  if (type !== undefined) return type;
  throw invalidInput(`${field}.datatype`, `is ${shown(datatype)}`, `use one of ${[...TYPES.keys()].join(', ')}`);
}

/** The most values of a tensor, since a request of 1 MiB cannot have more. */
const MOST_ELEMENTS = 1_048_576;

/**
 * Returns the number of values in a shape. Throws `invalid_input`.
 * @param field the path of the tensor
 */
export function elementsOf(shape: readonly number[], field: string): number {
  let elements = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw invalidInput(`${field}.shape`, `has the size ${size}`, 'give whole numbers, the number of rows first');
    }
    elements *= size;
  }
  if (elements <= MOST_ELEMENTS) return elements;
  throw invalidInput(`${field}.shape`, `holds more than ${MOST_ELEMENTS} values`, 'send it in several requests');
}

/** Returns the error for a wrong number of values. */
export function otherCount(field: string, found: number, expected: number): TandemError {
  return invalidInput(field, `has ${found} values`, `send ${expected} values, as in the shape`);
}

/** Parameters of Triton's extensions that would change the meaning of a request. */
const NOT_SUPPORTED = ['shared_memory_region', 'classification', 'sequence_id', 'sequence_start', 'sequence_end'];

/**
 * Throws `invalid_input` for parameters of unsupported extensions.
 * @param field the path of the parameters
 */
export function refuseForeign(parameters: Parameters, field: string): void {
  const name = NOT_SUPPORTED.find((one) => Object.hasOwn(parameters, one) && parameters[one]);
  if (name !== undefined) throw invalidInput(`${field}.${name}`, 'is not supported', 'leave it out');
}

/** Returns a value of a request as error messages show it. */
export function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 80);
}
