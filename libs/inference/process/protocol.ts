/**
 * The protocol of the serving process and its inference children over Node's IPC channel (serialization 'advanced',
 * which sends typed arrays as bytes). Each command gets one reply before the next is sent, except `part`, which gets
 * none.
 */
import type { TensorType } from '@tandem/freshness/predictor';

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

/** A tensor in transit, with float16 as bits in a Uint16Array and bool as bytes 0 and 1. */
export interface WireTensor {
  readonly name: string;
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** An input or output as a model declares it. */
export interface SignatureTensor {
  readonly name: string;
  /** The element type as ONNX Runtime names it; null for a sequence or a map. */
  readonly type: string | null;
  /**
   * The dimensions: a number for a fixed one, a text for a symbolic one. Empty for a scalar, or if no shape is
   * declared.
   */
  readonly shape: readonly (number | string)[];
}

export interface Signature {
  readonly inputs: readonly SignatureTensor[];
  readonly outputs: readonly SignatureTensor[];
}

export type Command =
  /** A part of a model file. `load` uses all parts that have arrived. */
  | { readonly kind: 'part'; readonly bytes: Uint8Array }
  /** The SHA-256 of the whole file, which is checked before anything reads it; null if it is not known yet. */
  | {
      readonly kind: 'load';
      readonly session: string;
      readonly sha256: string | null;
    }
  | { readonly kind: 'unload'; readonly sessions: readonly string[] }
  | ({ readonly kind: 'run' } & ModelRun);

/** A run of a loaded model, for as many users as the feeds have rows. */
export interface ModelRun {
  readonly session: string;
  readonly feeds: readonly WireTensor[];
  /** Names of the wanted outputs. */
  readonly fetches: readonly string[];
  /** Whether the model gets one row at a time. The answer still has the shape of a single run of all rows. */
  readonly rowByRow: boolean;
}

export interface RunAnswer {
  /** Outputs in the order of the fetches. */
  readonly outputs: readonly WireTensor[];
  /** Milliseconds of the model's run in the child, without the transfer. */
  readonly ms: number;
  /** Milliseconds of CPU of the threads that run models. The rest of `ms` was spent waiting for a processor. */
  readonly cpuMs: number;
}

export type Reply =
  | { readonly kind: 'ready' }
  /**
   * `bytes`: the measured memory of the session, at least the file's size; `rssBytes`: the resident memory of the
   * process.
   */
  | { readonly kind: 'loaded'; readonly signature: Signature; readonly bytes: number; readonly rssBytes: number }
  | { readonly kind: 'unloaded' }
  | ({ readonly kind: 'ran' } & RunAnswer)
  /** The reply if the model file or the input is at fault. The process continues. */
  | { readonly kind: 'refused'; readonly reason: string; readonly remedy: string | null };

/** A reply in transit. */
export type SentReply = Reply & {
  /** CPU time of all threads of the child since its start, in ms. */
  readonly childCpuMs: number;
};

/** Returns the bytes of values. A text counts as its number of UTF-16 code units, plus 4 bytes for its length. */
export function bytesOf(data: TensorData): number {
  return 'buffer' in data ? data.byteLength : data.reduce((sum, text) => sum + text.length + 4, 0);
}
