/** One question to a loaded model, inside the child: all rows at once, or one after the other. */
import type { TensorType } from '@tandem/freshness/predictor';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { ModelRun, RunAnswer, TensorData, WireTensor } from './protocol.ts';
import { createRowFeeder, joinRows } from './row-by-row.ts';

/**
 * The answer travels to a process that serves others, and is held there whole: no model may choose how much that is.
 * 1,024 users of a model of 16,384 floats are just as much.
 */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Node before 23.9 tells it of the whole process alone, in which little else happens. */
const cpuUsage = typeof process.threadCpuUsage === 'function' ? process.threadCpuUsage : process.cpuUsage;

/** Rejects where the model does, or where it gives more than `MAX_ANSWER_BYTES`. */
export async function runModel(
  loaded: InferenceSession,
  { feeds, fetches, rowByRow }: Omit<ModelRun, 'session'>,
): Promise<RunAnswer> {
  const begin = performance.now();
  const cpuBegin = cpuUsage();
  const outputs = rowByRow ? await inferEach(loaded, feeds, fetches) : await infer(loaded, feeds, fetches);
  const ms = performance.now() - begin;
  const { user, system } = cpuUsage(cpuBegin);
  refuseTooLarge(outputs, 1);
  return { outputs, ms, cpuMs: (user + system) / 1000 };
}

async function inferEach(
  loaded: InferenceSession,
  feeds: readonly WireTensor[],
  fetches: readonly string[],
): Promise<readonly WireTensor[]> {
  const rows = feeds[0]?.dims[0] ?? 0;
  const rowOf = createRowFeeder(feeds);
  const answers = joinRows(rows);
  for (let row = 0; row < rows; row++) {
    const outputs = await infer(loaded, rowOf(row), fetches);
    if (row === 0) refuseTooLarge(outputs, rows);
    answers.add(outputs);
  }
  return answers.outputs();
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
