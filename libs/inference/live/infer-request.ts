/** What a live run is asked for: by a caller with tensors of its own, or for the fields of predictions. */
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { LoadShedding } from '@tandem/prediction/scoring/scoring';
import type { WireTensor } from '../process/protocol.ts';
import { cutInputs, type EncodedInput, joinOutputs } from '../tensors/batch-tensors.ts';

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

/** Runs requests, and knows how many more rows of a version could be answered within a time, in ms. */
type Line = { infer(request: InferRequest): ReturnType<Infer> } & LoadShedding;

/**
 * Runs a request that is larger than there is room for in waves, each as large as there is room for then. What a run costs is
 * learned from runs: a model that has only been asked for single rows seems too slow for thousands, until it has run some.
 */
export async function inferInWaves(request: InferRequest, line: Line, now: () => number): ReturnType<Infer> {
  const { version, rows, timeoutMs } = request;
  if (rows === 1 || rows <= line.room(version, timeoutMs)) return line.infer(request);
  const deadline = now() + timeoutMs;
  const answers: (readonly WireTensor[])[] = [];
  for (let start = 0; start < rows; ) {
    const leftMs = deadline - now();
    const count = Math.min(rows - start, Math.max(1, line.room(version, leftMs)));
    answers.push(
      await line.infer({ ...request, inputs: cutInputs(request.inputs, start, count), rows: count, timeoutMs: leftMs }),
    );
    start += count;
  }
  return joinOutputs(answers);
}

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
