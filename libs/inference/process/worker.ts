/**
 * The program of an inference child. ONNX Runtime's `run` blocks its thread, possibly forever. Here it blocks only this
 * process, which its callers may kill. The process has no secrets, no files and no state except sessions. Arguments:
 * the parent's process id, the resident memory limit in MB, the threads of a run.
 */
import { createHash } from 'node:crypto';
import { rmdirSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { TensorType } from '@tandem/freshness/predictor';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { findFault } from '../model-file/onnx-file.ts';
import {
  bytesOf,
  type Command,
  type ModelRun,
  type Reply,
  type RunAnswer,
  type SentReply,
  type SignatureTensor,
  type TensorData,
  type WireTensor,
} from './protocol.ts';
import { createRowFeeder, joinRows } from './row-by-row.ts';
import { signatureFault } from './signature-fault.ts';

const THREADS = Number(process.argv[4] ?? 1);

const OPTIONS: InferenceSession.SessionOptions = {
  intraOpNumThreads: THREADS,
  interOpNumThreads: 1,
  // Spinning threads would use the processors of other children.
  ...(THREADS === 1 ? {} : { extra: { session: { intra_op: { allow_spinning: '0' } } } }),
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  // With the arena, each session would keep the memory of its largest run, and a child with many models would grow.
  enableCpuMemArena: false,
  enableMemPattern: false,
  // Errors are thrown. Other output of ONNX Runtime, which a model may cause, is discarded.
  logSeverityLevel: 4,
};

/** The longest reason from ONNX Runtime, since names in a model may be as long as the file. */
const MAX_REASON = 4_000;

/** The memory that ONNX Runtime allocates with the first session of a process. */
const RUNTIME_BYTES = 25_000_000;
/**
 * The least memory of a session besides its weights: measured 0.2 MB. If memory of unloaded sessions is reused, the
 * measurement is too low.
 */
const LEAST_SESSION_BYTES = 200_000;

const sessions = new Map<string, InferenceSession>();
/** Bytes of buffers above which garbage is collected, which takes about 3 ms. */
const MOST_GARBAGE_BYTES = 4_000_000;

let isRuntimeStarted = false;
let parts: Uint8Array[] = [];

start();

function start(): void {
  // The binding of ONNX Runtime 1.30 cannot read a Float16Array. Without the class, it accepts and returns the bits.
  delete (globalThis as { Float16Array?: unknown }).Float16Array;
  // Only the parent ends this process. A terminal's Ctrl-C and a service manager's SIGTERM reach the whole group, so
  // they are ignored.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('message', (command: Command) => void obey(command));
  const watchdog = new Worker(new URL('./child-watchdog.ts', import.meta.url), {
    workerData: { parentPid: Number(process.argv[2]), memoryLimitMb: Number(process.argv[3]) },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  watchdog.once('error', (error) => {
    throw error;
  });
  watchdog.once('online', () => {
    // The working directory is removed, so that no file can be read from it or left in it.
    rmdirSync(process.cwd());
    say({ kind: 'ready' });
    // A child ends by SIGKILL, so Node never writes its cache at exit. This call has no effect if the cache is off or
    // up to date.
    flushCompileCache();
  });
}

function say(reply: Reply): void {
  const { user, system } = process.cpuUsage();
  process.send?.({ ...reply, childCpuMs: (user + system) / 1000 } satisfies SentReply);
}

async function obey(command: Command): Promise<void> {
  try {
    switch (command.kind) {
      case 'part':
        parts.push(command.bytes);
        return;
      case 'load':
        await load(command);
        // Frees the file and its parts. V8 would let 64 MB of buffers accumulate before it collects them.
        if (process.memoryUsage().arrayBuffers > MOST_GARBAGE_BYTES) globalThis.gc?.();
        return;
      case 'unload':
        return await unload(command.sessions);
      case 'run':
        return await run(command);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    say({ kind: 'refused', reason: reason.slice(0, MAX_REASON), remedy: null });
  }
}

async function unload(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await sessions.get(id)?.release();
    sessions.delete(id);
  }
  say({ kind: 'unloaded' });
}

async function load({ session, sha256 }: Extract<Command, { kind: 'load' }>): Promise<void> {
  const bytes = Buffer.concat(parts);
  parts = [];
  if (sha256 !== null && createHash('sha256').update(bytes).digest('hex') !== sha256) {
    const remedy = 'Check that the file is complete and the intended one, then push or adopt it again.';
    return say({ kind: 'refused', reason: 'the model file differs from the registered artifact', remedy });
  }
  const fault = findFault(bytes);
  if (fault) return say({ kind: 'refused', ...fault });
  const before = process.memoryUsage();
  const loaded = await InferenceSession.create(bytes, OPTIONS);
  const signature = { inputs: loaded.inputMetadata.map(describe), outputs: loaded.outputMetadata.map(describe) };
  const oddity = signatureFault(signature);
  if (oddity) {
    await loaded.release();
    return say({ kind: 'refused', ...oddity });
  }
  sessions.set(session, loaded);
  const after = process.memoryUsage();
  const taken = memoryTaken(before, after) - (isRuntimeStarted ? 0 : RUNTIME_BYTES);
  isRuntimeStarted = true;
  const size = Math.max(taken, bytes.length + LEAST_SESSION_BYTES);
  say({ kind: 'loaded', signature, bytes: size, rssBytes: after.rss });
}

/**
 * Returns the memory of a session, without that of JavaScript, which varies. The figures of V8 about its buffers may be
 * late.
 */
function memoryTaken(before: NodeJS.MemoryUsage, after: NodeJS.MemoryUsage): number {
  const native = ({ rss, heapTotal, arrayBuffers }: NodeJS.MemoryUsage) => rss - heapTotal - arrayBuffers;
  return Math.min(after.rss - before.rss, native(after) - native(before));
}

async function run({ session, ...asked }: ModelRun): Promise<void> {
  const loaded = sessions.get(session);
  if (!loaded) throw new Error(`no session ${session}`);
  say({ kind: 'ran', ...(await runModel(loaded, asked)) });
}

function describe(value: InferenceSession.ValueMetadata): SignatureTensor {
  return value.isTensor
    ? // A dynamic size without a name is an empty text.
      { name: value.name, type: value.type, shape: value.shape.map((size) => (size === '' ? '?' : size)) }
    : { name: value.name, type: null, shape: [] };
}

/**
 * The most bytes of an answer. The serving process keeps the whole answer in memory, so a model must not decide its
 * size. It is the size for 1,024 users of a model with 16,384 floats.
 */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Reads the CPU time of the thread; or of the whole process if a run has several threads or Node is older than 23.9.
 * Little else happens in the process.
 */
const cpuUsage =
  THREADS === 1 && typeof process.threadCpuUsage === 'function' ? process.threadCpuUsage : process.cpuUsage;

/**
 * Runs all rows at once, or one after the other. Rejects if the model rejects them, or if the answer exceeds
 * `MAX_ANSWER_BYTES`.
 */
async function runModel(
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

/**
 * Throws if the answer would be too large.
 * @param times the number of such outputs in the answer
 */
function refuseTooLarge(outputs: readonly WireTensor[], times: number): void {
  const bytes = outputs.reduce((sum, { data }) => sum + bytesOf(data), 0) * times;
  if (bytes <= MAX_ANSWER_BYTES) return;
  throw new Error(`its outputs take ${bytes} bytes for one run, but the maximum is ${MAX_ANSWER_BYTES}`);
}
