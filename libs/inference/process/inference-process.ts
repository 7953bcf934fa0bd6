/**
 * An inference child as its parent sees it. It handles one command at a time, each with a limit (time-limit.ts). At the
 * limit the child is killed with SIGKILL, the only signal that ends a run inside native code.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TandemError } from '@tandem/freshness/errors';
import { ScoringCrash } from '@tandem/prediction/scoring/scoring';
import { type ChildPriority, createChildPriority, NO_PRIORITY } from './child-priority.ts';
import type { Command, ModelRun, Reply, RunAnswer, SentReply, Signature } from './protocol.ts';
import { readableReason } from './readable-reason.ts';
import { cpuLimit, machineBusy, type TimeLimit, type TimeUp, watchTime } from './time-limit.ts';

export interface ProcessOptions {
  readonly memoryLimitMb: number;
  /** Whether the kernel also limits the data segment, if it can: see `bounded`. */
  readonly boundData: boolean;
  readonly startLimit: TimeLimit;
  /** Niceness of the child above that of the parent. Default: that of a serving child. */
  readonly niceSteps?: number | undefined;
  /** Threads of a run. Default: 1. */
  readonly threads?: number | undefined;
  /** Whether the child has a lower priority than others until `toForeground` is called. */
  readonly isInBackground?: boolean;
}

/** Limit of a child's start, which takes about half a second of CPU. */
export const START_LIMIT = cpuLimit(10_000);

/** The number of failed starts after which the next child is started without the kernel's limit on its data. */
export const BOUND_STARTS = 3;

/** A model file for a child. The child checks `sha256` on the bytes that it gives to ONNX Runtime. */
interface ModelFile {
  readonly session: string;
  readonly bytes: Uint8Array;
  readonly sha256: string | null;
}

export interface InferenceProcess {
  readonly pid: number | undefined;
  /**
   * Resolves when the child is ready. Rejects if it ends before: with `overloaded` if the machine gave it too little
   * CPU, else with `unavailable`.
   */
  readonly ready: Promise<void>;
  /** Resolves at the child's end to the cause. Never rejects. */
  readonly ended: Promise<ProcessEnded>;
  /** Returns the child's CPU time at its last reply, in ms. */
  cpuMs(): number;
  /**
   * Loads a model. Rejects with `model_refused`, ProcessEnded, or `overloaded` if the machine gave it too little CPU.
   */
  load(file: ModelFile, limit: TimeLimit): Promise<Loaded>;
  /** Unloads these sessions. Rejects with ProcessEnded, or `overloaded` as `load` does. */
  unload(sessions: readonly string[], limit: TimeLimit): Promise<void>;
  /** Runs a model. Rejects as `load` does, but with `live_failed` if the model rejects the input. */
  run(run: ModelRun, limit: TimeLimit): Promise<RunAnswer>;
  isAlive(): boolean;
  toForeground(): void;
  kill(why: string): void;
}

interface Loaded {
  readonly signature: Signature;
  /** The measured memory of the model. */
  readonly bytes: number;
  /** The child's resident memory after the load. */
  readonly rssBytes: number;
}

/**
 * The cause of a child's end:
 * - `deadline`: a run passed its deadline; `starved`: a busy machine gave the child too little CPU
 * - `memory`: it took more memory than allowed; `crash`: its code crashed
 * - `killed`: its parent needed it no longer; or a signal from an operator, or from the kernel for lack of memory
 */
export type ProcessEnd = 'deadline' | 'starved' | 'memory' | 'crash' | 'killed';

type KillReason = Omit<TimeUp, 'why'> & { readonly why: ProcessEnd };

/** The error of a child that died. */
export class ProcessEnded extends ScoringCrash {
  readonly why: ProcessEnd;
  /** The cause in a few words. */
  readonly how: string;

  constructor(how: string, why: ProcessEnd, cpuMs?: number) {
    super(`the inference process ended: ${how}`, cpuMs);
    this.why = why;
    this.how = how;
  }
}

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
/** Private memory that Node 24 maps in the child, mostly for the code ranges of two isolates. Measured: 1,134 MB. */
const NODE_DATA_MB = 1280;
/** The size of the parts in which models are sent, so that the parent's event loop never copies more at once. */
const PART_BYTES = 1 << 20;
const STDERR_KEPT = 2_000;
/**
 * The size from which allocations are returned to the system when they are freed. By default glibc raises it to 32 MB.
 */
const RETURNED_BYTES = 2_000_000;

/** Starts a child. `ended` resolves at its end, for any cause. */
export function startInferenceProcess(options: ProcessOptions): InferenceProcess {
  const child = spawnWorker(options);
  const { promise: ended, resolve: tellEnd } = Promise.withResolvers<ProcessEnded>();
  let killedFor: KillReason | null = null;
  let cpuMs = 0;
  let end: ProcessEnded | null = null;
  let said = '';
  let answer: ((reply: Reply) => void) | null = null;
  let fail: ((error: ProcessEnded) => void) | null = null;

  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-STDERR_KEPT);
  });
  child.on('message', (reply: SentReply) => {
    cpuMs = reply.childCpuMs;
    answer?.(reply);
  });
  child.on('error', (error) => finish(new ProcessEnded(error.message, 'crash')));
  // 'close' instead of 'exit', since by then its last output on stderr has been read.
  child.on('close', (code, signal) => finish(explain(killedFor, said, code, signal)));

  function finish(how: ProcessEnded): void {
    if (end) return;
    end = how;
    fail?.(how);
    tellEnd(how);
  }

  function kill(reason: KillReason): void {
    killedFor ??= reason;
    child.kill('SIGKILL');
  }

  async function ask(send: () => Promise<void> | void, limit: TimeLimit): Promise<Reply> {
    if (end) throw asError(end);
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    answer = resolve;
    fail = (how) => reject(asError(how));
    const stopWatch = watchTime({ pid: child.pid, cpuMs }, limit, kill);
    try {
      await Promise.race([send(), promise]);
      return await promise;
    } finally {
      stopWatch();
      answer = null;
      fail = null;
    }
  }

  const priority = priorityOf(child, options);
  const first = ask(() => {}, options.startLimit);
  const ready = start(first, priority, options);
  ready.catch(() => {});
  return {
    pid: child.pid,
    ready,
    ended,
    isAlive: () => end === null && killedFor === null,
    toForeground: priority.lower,
    kill: (how) => kill({ why: 'killed', how }),
    cpuMs: () => cpuMs,
    async load(file, limit) {
      const reply = await ask(() => sendModel(child, file), limit);
      if (reply.kind === 'loaded') return reply;
      throw refusal('model_refused', 'the model cannot be loaded', reply);
    },
    async unload(sessions, limit) {
      await ask(() => void child.send({ kind: 'unload', sessions }, () => {}), limit);
    },
    async run(run, limit) {
      const reply = await ask(() => void child.send({ kind: 'run', ...run }, () => {}), limit);
      if (reply.kind === 'ran') return reply;
      throw refusal('live_failed', 'the model rejected the input', reply);
    },
  };
}

/** Sends the file in parts. If the child is dying the channel is closed, and its 'close' event has the cause. */
async function sendModel(child: ChildProcess, { session, bytes, sha256 }: ModelFile): Promise<void> {
  const tell = (command: Command) => new Promise<void>((resolve) => child.send(command, () => resolve()));
  for (let at = 0; at < bytes.length && child.connected; at += PART_BYTES) {
    await tell({ kind: 'part', bytes: bytes.subarray(at, at + PART_BYTES) });
  }
  await tell({ kind: 'load', session, sha256 });
}

/** Resolves when the child is ready. Its priority is lowered only then, since a start is awaited and short. */
async function start(
  first: Promise<Reply>,
  priority: ChildPriority,
  { isInBackground }: ProcessOptions,
): Promise<void> {
  try {
    await first;
  } catch (error) {
    throw error instanceof ProcessEnded ? notStarted(error) : error;
  }
  if (!isInBackground) priority.lower();
}

function priorityOf({ pid }: ChildProcess, { niceSteps, isInBackground }: ProcessOptions): ChildPriority {
  if (pid === undefined) return NO_PRIORITY;
  const priority = createChildPriority(pid, niceSteps);
  if (isInBackground) priority.giveWay();
  return priority;
}

function spawnWorker({ memoryLimitMb, boundData, threads = 1 }: ProcessOptions): ChildProcess {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-inference-'));
  const heapMb = Math.max(64, memoryLimitMb >> 2);
  const flags = ['--expose-gc', `--max-old-space-size=${heapMb}`];
  const program = [process.execPath, ...flags, WORKER, `${process.pid}`, `${memoryLimitMb}`, `${threads}`];
  const [file = '', ...args] = boundData ? bounded(program, memoryLimitMb) : program;
  const child = spawn(file, args, {
    cwd: folder,
    env: childEnvironment(process.env),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    // A separate process group, so that a terminal's Ctrl-C reaches only the parent, which then drains.
    detached: true,
  });
  // The child removes its folder itself, unless it died before.
  child.on('close', () => {
    try {
      rmdirSync(folder);
    } catch {
      // Gone already.
    }
  });
  return child;
}

/**
 * Returns the environment of a child. It inherits only two variables, since others may contain secrets: the library
 * path, which some programs need to start, and Node's compile cache, which halves the CPU time of a start (0.3 s). The
 * path of the cache is made absolute, because the child has another working directory. The third variable is for glibc;
 * other libraries ignore it.
 */
function childEnvironment({ LD_LIBRARY_PATH, NODE_COMPILE_CACHE }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...(LD_LIBRARY_PATH && { LD_LIBRARY_PATH }),
    ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE: resolve(NODE_COMPILE_CACHE) }),
    MALLOC_MMAP_THRESHOLD_: `${RETURNED_BYTES}`,
  };
}

/**
 * Returns the command of a program under `ulimit -d`. An allocation above the limit fails inside ONNX Runtime as an
 * ordinary error, so that most memory bombs are rejected and do not end the process. Only Linux counts mapped memory as
 * data.
 */
function bounded(program: readonly string[], memoryLimitMb: number): readonly string[] {
  if (process.platform !== 'linux') return program;
  const kilobytes = (memoryLimitMb + NODE_DATA_MB) * 1024;
  return ['/bin/sh', '-c', 'ulimit -d "$0" && exec "$@"', `${kilobytes}`, ...program];
}

function explain(
  killedFor: KillReason | null,
  said: string,
  code: number | null,
  signal: NodeJS.Signals | null,
): ProcessEnded {
  if (killedFor !== null) return new ProcessEnded(killedFor.how, killedFor.why, killedFor.cpuMs);
  const watchdog = /watchdog: (.*)/.exec(said)?.[1];
  if (watchdog !== undefined) return new ProcessEnded(watchdog, 'memory');
  const how = signal ? `signal ${signal}` : `exit code ${code}`;
  const error = said.split('\n').find((line) => /error|terminate|fatal/i.test(line));
  return new ProcessEnded(error ? `${how}: ${error.slice(0, 200)}` : how, signal === 'SIGKILL' ? 'killed' : 'crash');
}

/**
 * Returns the end itself; or, if the machine is at fault and the same work may succeed later, an error that says so.
 */
function asError(end: ProcessEnded): Error {
  return end.why === 'starved' ? machineBusy(end.how, end) : end;
}

function notStarted(end: ProcessEnded): TandemError {
  return new TandemError('unavailable', `an inference process could not be started: ${end.how}`, {
    remedy: 'retry; if it fails again, check that the machine has memory for one more process',
  });
}

function refusal(code: 'model_refused' | 'live_failed', what: string, reply: Reply): TandemError {
  if (reply.kind !== 'refused') return new TandemError(code, `${what}: its process answered ${reply.kind}`);
  return new TandemError(code, `${what}: ${readableReason(reply.reason)}`, {
    detail: reply.reason,
    ...(reply.remedy === null ? {} : { remedy: reply.remedy }),
  });
}
