/** Runs live inference on tensors that a caller filled. */
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { LoadShedding } from '@tandem/prediction/scoring/scoring';
import { bytesOf, type WireTensor } from '../process/protocol.ts';
import { cutInputs, type EncodedInput, joinOutputs } from '../tensors/batch-tensors.ts';
import { paceOf } from './pending-requests.ts';

/** A live request with rows that a caller filled. */
export interface InferRequest {
  readonly version: ModelVersion;
  /** A filled tensor for each input of the version, in order. */
  readonly inputs: readonly EncodedInput[];
  readonly rows: number;
  /** The place of the first of these rows in the caller's request, for `RowsRefused`. Default: 0. */
  readonly firstRow?: number;
  /** Names of the requested outputs, in order. Requests for the same outputs run together. */
  readonly outputs: readonly string[];
  /** Milliseconds until the caller's deadline. */
  readonly timeoutMs: number;
  /** The most milliseconds of one run, which limit how long others wait for a child. */
  readonly runTimeoutMs: number;
  /** Whether the request's runs must not contain rows of other requests. */
  readonly isAlone?: boolean;
  /** Calls back when the caller disconnects. Then no more of its rows are run. */
  onGone?(tell: () => void): void;
}

/** Runs the rows. Returns the requested outputs of all rows. */
export type Infer = (request: InferRequest) => Promise<readonly WireTensor[]>;

/** The most bytes of the outputs of one request. */
export const MOST_ANSWER_BYTES = 16 * 1_048_576;

/** A queue that runs requests, and knows the number of rows for its next run. */
interface Line extends LoadShedding {
  infer(request: InferRequest): ReturnType<Infer>;
  runRows(version: ModelVersion, timeoutMs: number, leftMs: number): number;
}

/**
 * Runs a request of many rows one run at a time, so that a live read waits for at most one of its runs. The request is
 * accepted if one run is in time, whatever the caller's total time. Rejects with `overloaded`, and with
 * `output_unusable` if the outputs are too large.
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
    const outputs = await line.infer({ ...request, inputs, rows: count, firstRow: start, timeoutMs: leftMs });
    bytes += outputs.reduce((sum, { data }) => sum + bytesOf(data), 0);
    if (bytes > MOST_ANSWER_BYTES) throw tooLarge();
    answers.push(outputs);
    start += count;
  }
  return joinOutputs(answers);
}

function tooLarge(): TandemError {
  const text = `The outputs of these rows exceed ${MOST_ANSWER_BYTES / 1_048_576} MiB.`;
  return new TandemError('output_unusable', text, { remedy: 'send fewer rows, or request fewer outputs' });
}

const wanted = new WeakMap<ModelVersion, readonly string[]>();

/** Returns the names of the output tensors for a version's predictions. The array is the same for the same version. */
export function wantedBy(version: ModelVersion): readonly string[] {
  const known = wanted.get(version);
  if (known) return known;
  const names = [...new Set(version.outputs.map(({ output }) => output))];
  wanted.set(version, names);
  return names;
}
