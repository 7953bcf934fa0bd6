/** What a live run is asked for: by a caller with tensors of its own, or for the fields of predictions. */
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { WireTensor } from '../process/protocol.ts';
import type { EncodedInput } from '../tensors/batch-tensors.ts';

/** Rows that a caller filled, for a live answer. */
export interface InferRequest {
  readonly version: ModelVersion;
  /** Filled for each input of the version, in its order. */
  readonly inputs: readonly EncodedInput[];
  readonly rows: number;
  /** Names of the outputs that are wanted, in order. Requests that want the same ones run together. */
  readonly outputs: readonly string[];
  /** Milliseconds from now until the answer is worthless. */
  readonly timeoutMs: number;
  /** Milliseconds that one run may take: it bounds how long others wait for a child. */
  readonly runTimeoutMs: number;
  /** Tells when the caller has gone: then nothing more is run for it. */
  onGone?(tell: () => void): void;
}

/** Runs the rows; gives the wanted outputs of all of them. */
export type Infer = (request: InferRequest) => Promise<readonly WireTensor[]>;

const wanted = new WeakMap<ModelVersion, readonly string[]>();

/** Returns the output tensors that a version's predictions are taken from: the same array for the same version. */
export function wantedBy(version: ModelVersion): readonly string[] {
  const known = wanted.get(version);
  if (known) return known;
  const names = [...new Set(version.outputs.map(({ output }) => output))];
  wanted.set(version, names);
  return names;
}

/** The error of a request whose caller has gone. */
export function cancelled(): TandemError {
  return new TandemError('live_timeout', 'the caller cancelled the request');
}
