/** One question to a loaded model, inside the child: all rows at once, in pieces, or one after the other. */
import type { TensorType } from '@tandem/prediction/predictor';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { joinPieces } from './join-pieces.ts';
import type { PieceSizes } from './piece-size.ts';
import type { ModelRun, RunAnswer, TensorData, WireTensor } from './protocol.ts';
import { createRowFeeder } from './row-by-row.ts';
import { cut } from './tensor-data.ts';

/**
 * The answer travels to a process that serves others, and is held there whole: no model may choose how much that is.
 * 1,024 users of a model of 16,384 floats are just as much.
 */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** A model that is loaded. */
export interface Loaded {
  readonly session: InferenceSession;
  /** What is known of how it likes its rows. */
  readonly sizes: PieceSizes;
}

/** Rejects where the model does, or where it gives more than `MAX_ANSWER_BYTES`. */
export async function runModel(
  { session, sizes }: Loaded,
  { feeds, fetches, atOnce }: Omit<ModelRun, 'session'>,
): Promise<RunAnswer> {
  const rows = feeds[0]?.dims[0] ?? 0;
  const size = atOnce === 'quickest' ? sizes.next(rows) : rows;
  const begin = performance.now();
  const outputs = await inferAs(session, feeds, fetches, atOnce === 'one' ? 'one' : size);
  const ms = performance.now() - begin;
  if (atOnce === 'quickest') sizes.observe(size, rows, ms);
  refuseTooLarge(outputs, 1);
  return { outputs, ms };
}

function inferAs(
  session: InferenceSession,
  feeds: readonly WireTensor[],
  fetches: readonly string[],
  size: number | 'one',
): Promise<readonly WireTensor[]> {
  const rows = feeds[0]?.dims[0] ?? 0;
  if (size === 'one') return inferPieces(session, fetches, { rows, size: 1, pieceOf: createRowFeeder(feeds) });
  if (size >= rows) return infer(session, feeds, fetches);
  return inferPieces(session, fetches, { rows, size, pieceOf: (start, count) => cutFeeds(feeds, start, count) });
}

interface Pieces {
  readonly rows: number;
  /** Rows of each piece but the last. */
  readonly size: number;
  pieceOf(start: number, count: number): readonly WireTensor[];
}

async function inferPieces(
  session: InferenceSession,
  fetches: readonly string[],
  { rows, size, pieceOf }: Pieces,
): Promise<readonly WireTensor[]> {
  const answers = joinPieces(rows);
  for (let start = 0; start < rows; start += size) {
    const count = Math.min(size, rows - start);
    const outputs = await infer(session, pieceOf(start, count), fetches);
    if (start === 0) refuseTooLarge(outputs, rows / count);
    answers.add(outputs, count);
  }
  return answers.outputs();
}

function cutFeeds(feeds: readonly WireTensor[], start: number, count: number): WireTensor[] {
  return feeds.map((feed) => {
    const width = feed.data.length / (feed.dims[0] ?? 1);
    return {
      ...feed,
      dims: [count, ...feed.dims.slice(1)],
      data: cut(feed.data, start * width, (start + count) * width),
    };
  });
}

async function infer(
  loaded: InferenceSession,
  feeds: readonly WireTensor[],
  fetches: readonly string[],
): Promise<readonly WireTensor[]> {
  const inputs = Object.fromEntries(
    feeds.map(({ name, type, data, dims }) => [name, new Tensor(type as 'float32', data as Float32Array, dims)]),
  );
  const results = await loaded.run(inputs, fetches);
  return fetches.map((name): WireTensor => {
    const { type, dims, data } = results[name] as Tensor;
    return { name, type: type as TensorType, dims, data: data as TensorData };
  });
}

/** @param times how many such outputs the answer will hold */
function refuseTooLarge(outputs: readonly WireTensor[], times: number): void {
  const bytes = outputs.reduce((sum, { data }) => sum + bytesOf(data), 0) * times;
  if (bytes <= MAX_ANSWER_BYTES) return;
  throw new Error(`its outputs take ${bytes} bytes for one run; ${MAX_ANSWER_BYTES} are the most`);
}

function bytesOf(data: TensorData): number {
  if ('byteLength' in data) return data.byteLength;
  return data.reduce((sum, text) => sum + 4 + text.length, 0);
}
