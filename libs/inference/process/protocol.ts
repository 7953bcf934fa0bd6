/**
 * The protocol of the serving process and its inference children over Node's IPC channel (serialization 'advanced':
 * typed arrays travel as bytes). One command at a time: each gets one reply before the next is sent, except `part`,
 * which gets none.
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

/** A tensor on its way; float16 as the bits in a Uint16Array, bool as bytes 0 and 1. */
export interface WireTensor {
  readonly name: string;
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** One input or output as a model declares it. */
export interface SignatureTensor {
  readonly name: string;
  /** Element type as ONNX Runtime names it; null: not a tensor (a sequence or a map). */
  readonly type: string | null;
  /** A number is a fixed dimension, a text a symbolic one; empty: a scalar, or a shape not declared. */
  readonly shape: readonly (number | string)[];
}

export interface Signature {
  readonly inputs: readonly SignatureTensor[];
  readonly outputs: readonly SignatureTensor[];
}

export type Command =
  /** A piece of a model file; `load` takes what has come so far. */
  | { readonly kind: 'part'; readonly bytes: Uint8Array }
  /** `sha256` of the whole file, checked before anything reads it; null: not known yet. */
  | {
      readonly kind: 'load';
      readonly session: string;
      readonly sha256: string | null;
    }
  | { readonly kind: 'unload'; readonly sessions: readonly string[] }
  | ({ readonly kind: 'run' } & ModelRun);

/** One question to a loaded model, for as many users as the feeds have rows. */
export interface ModelRun {
  readonly session: string;
  readonly feeds: readonly WireTensor[];
  /** Names of the outputs that are wanted. */
  readonly fetches: readonly string[];
  /** The model sees one row at a time; the answer has the shape of one run of all. */
  readonly rowByRow: boolean;
}

export interface RunAnswer {
  /** Outputs in the order of the fetches. */
  readonly outputs: readonly WireTensor[];
  /** Duration of the model's run in the child, without transfer. */
  readonly ms: number;
  /** CPU of the threads that run models in ms; the rest of `ms` was spent waiting for a processor. */
  readonly cpuMs: number;
}

export type Reply =
  | { readonly kind: 'ready' }
  /** `bytes`: memory that the session seems to take, at least the file's size; `rssBytes`: of the process. */
  | { readonly kind: 'loaded'; readonly signature: Signature; readonly bytes: number; readonly rssBytes: number }
  | { readonly kind: 'unloaded' }
  | ({ readonly kind: 'ran' } & RunAnswer)
  /** The model file or the input is at fault; the process continues. */
  | { readonly kind: 'refused'; readonly reason: string; readonly remedy: string | null };

/** A reply as it travels. */
export type SentReply = Reply & {
  /** CPU time of the child since its start, all threads, in ms. */
  readonly childCpuMs: number;
};
