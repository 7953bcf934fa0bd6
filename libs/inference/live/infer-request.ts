/** Live inference of tensors that a caller filled, and the outputs that predictions are taken from. */
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { LoadShedding } from '@tandem/prediction/scoring/scoring';
import type { TensorData, WireTensor } from '../process/protocol.ts';
import { cutInputs, type EncodedInput, joinOutputs } from '../tensors/batch-tensors.ts';
import { paceOf } from './waiting-requests.ts';

/** Rows that a caller filled, for a live answer. */
export interface InferRequest {
  readonly version: ModelVersion;
  /** Filled for each input of the version, in its order. */
  readonly inputs: readonly EncodedInput[];
  readonly rows: number;
  /** Names of the requested outputs, in order. Requests for the same outputs run together. */
  readonly outputs: readonly string[];
  /** Milliseconds from now until the answer is worthless. */
  readonly timeoutMs: number;
  /** Milliseconds that one run may take: it bounds how long others wait for a child. */
  readonly runTimeoutMs: number;
  /** Whether rows of other requests must not be in its runs. */
  readonly isAlone?: boolean;
  /** Aborts when the caller disconnects: then no more rows are run for it. */
  onGone?(tell: () => void): void;
}

/** Runs the rows; returns the requested outputs of all rows. */
export type Infer = (request: InferRequest) => Promise<readonly WireTensor[]>;

/** The most bytes of the outputs of one request. */
export const MOST_ANSWER_BYTES = 16 * 1_048_576;

/** A queue that runs requests, and knows how many rows fit into its next run. */
interface Line extends LoadShedding {
  infer(request: InferRequest): ReturnType<Infer>;
  runRows(version: ModelVersion, timeoutMs: number, leftMs: number): number;
}

/**
 * Runs a request of many rows one run at a time, so that a live read waits behind one of its runs at most. Whether the request
 * is taken at all depends on the time of one run, not on how long its caller would wait. Rejects with `overloaded`, and with
 * `output_unusable` where the outputs are too large.
 */
export async function inferInRuns(request: InferRequest, line: Line, now: () => number): ReturnType<Infer> {
  const { version, rows, timeoutMs } = request;
  const pace = paceOf(request);
  const room = line.room(version, pace);
  if (room < 1) throw new TandemError('overloaded', 'too many users wait for the model', { retryAfter: 1 });
  const deadline = now() + timeoutMs;
  const answers: (readonly WireTensor[])[] = [];
  let bytes = 0;
  for (let start = 0; start < rows; ) {
    const leftMs = deadline - now();
    const most = Math.min(line.runRows(version, pace, leftMs), start === 0 ? room : rows);
    const count = Math.min(rows - start, most);
    const inputs = count === rows ? request.inputs : cutInputs(request.inputs, start, count);
    const outputs = await line.infer({ ...request, inputs, rows: count, timeoutMs: leftMs });
    bytes += outputs.reduce((sum, { data }) => sum + bytesOf(data), 0);
    if (bytes > MOST_ANSWER_BYTES) throw tooLarge();
    answers.push(outputs);
    start += count;
  }
  return joinOutputs(answers);
}

/** Returns the bytes of values. A text counts its UTF-16 code units, and 4 bytes for its length. */
function bytesOf(data: TensorData): number {
  return 'buffer' in data ? data.byteLength : data.reduce((sum, text) => sum + text.length + 4, 0);
}

function tooLarge(): TandemError {
  const text = `The outputs of these rows take more than ${MOST_ANSWER_BYTES / 1_048_576} MiB.`;
  return new TandemError('output_unusable', text, { remedy: 'send fewer rows, or request fewer outputs' });
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
