/**
 * An inference child as its parent sees it. It handles one command at a time, each with a limit (time-limit.ts). At the
 * limit the child is killed with SIGKILL, the only signal that ends a run inside native code.
 */
import type { ChildProcess } from 'node:child_process';
import { TandemError } from '@tandem/freshness/errors';
import { ScoringCrash } from '@tandem/prediction/scoring/scoring';
import { type ChildPriority, createChildPriority, NO_PRIORITY } from './child-priority.ts';
import type { Command, ModelRun, Reply, RunAnswer, SentReply } from './protocol.ts';
import { readableReason } from './readable-reason.ts';
import { spawnWorker } from './spawn-worker.ts';
import { cpuLimit, machineBusy, type TimeLimit, type TimeUp, watchTime } from './time-limit.ts';

export interface ProcessOptions {
  readonly memoryLimitMb: number;
  /** Whether the kernel also limits the data segment, if it can (spawn-worker.ts). */
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

/** The size of the parts in which models are sent, so that the parent's event loop never copies more at once. */
const PART_BYTES = 1 << 20;
const STDERR_KEPT = 2_000;
/** An inference child. Creating it starts the child. */
export class InferenceProcess {
  /**
   * Resolves when the child is ready. Rejects if it ends before: with `overloaded` if the machine gave it too little
   * CPU, else with `unavailable`.
   */
  readonly ready: Promise<void>;
  /** Resolves at the child's end to the cause. Never rejects. */
  readonly ended: Promise<ProcessEnded>;
  readonly #tellEnd: (end: ProcessEnded) => void;
  readonly #child: ChildProcess;
  readonly #priority: ChildPriority;
  #killedFor: KillReason | null = null;
  #cpuMs = 0;
  #end: ProcessEnded | null = null;
  #said = '';
  /** The reply to the current command. */
  #reply: PromiseWithResolvers<Reply> | null = null;

  constructor(options: ProcessOptions) {
    const { promise, resolve } = Promise.withResolvers<ProcessEnded>();
    this.ended = promise;
    this.#tellEnd = resolve;
    this.#child = spawnWorker(options);
    this.#listen();
    this.#priority = priorityOf(this.#child, options);
    this.ready = this.#start(options);
    this.ready.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Returns the child's CPU time at its last reply, in ms. */
  cpuMs(): number {
    return this.#cpuMs;
  }

  isAlive(): boolean {
    return this.#end === null && this.#killedFor === null;
  }

  toForeground(): void {
    this.#priority.lower();
  }

  kill(why: string): void {
    this.#kill({ why: 'killed', how: why });
  }

  /**
   * Loads a model. Rejects with `model_refused`, ProcessEnded, or `overloaded` if the machine gave it too little CPU.
   */
  async load(file: ModelFile, limit: TimeLimit): Promise<Extract<Reply, { kind: 'loaded' }>> {
    const reply = await this.#ask(() => this.#sendModel(file), limit);
    if (reply.kind === 'loaded') return reply;
    throw refusal('model_refused', 'the model cannot be loaded', reply);
  }

  /** Unloads these sessions. Rejects with ProcessEnded, or `overloaded` as `load` does. */
  async unload(sessions: readonly string[], limit: TimeLimit): Promise<void> {
    await this.#ask(() => this.#send({ kind: 'unload', sessions }), limit);
  }

  /** Runs a model. Rejects as `load` does, but with `live_failed` if the model rejects the input. */
  async run(run: ModelRun, limit: TimeLimit): Promise<RunAnswer> {
    const reply = await this.#ask(() => this.#send({ kind: 'run', ...run }), limit);
    if (reply.kind === 'ran') return reply;
    throw refusal('live_failed', 'the model rejected the input', reply);
  }

  #listen(): void {
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-STDERR_KEPT);
    });
    this.#child.on('message', (reply: SentReply) => {
      this.#cpuMs = reply.childCpuMs;
      this.#reply?.resolve(reply);
    });
    this.#child.on('error', (error) => this.#finish(new ProcessEnded(error.message, 'crash')));
    // 'close' instead of 'exit', since by then its last output on stderr has been read.
    this.#child.on('close', (code, signal) => this.#finish(explain(this.#killedFor, this.#said, code, signal)));
  }

  #finish(end: ProcessEnded): void {
    if (this.#end) return;
    this.#end = end;
    this.#reply?.reject(asError(end));
    this.#tellEnd(end);
  }

  #kill(reason: KillReason): void {
    this.#killedFor ??= reason;
    this.#child.kill('SIGKILL');
  }

  /** Resolves when the child is ready. Its priority is lowered only then, since a start is awaited and short. */
  async #start({ startLimit, isInBackground }: ProcessOptions): Promise<void> {
    try {
      await this.#ask(async () => {}, startLimit);
    } catch (error) {
      throw error instanceof ProcessEnded ? notStarted(error) : error;
    }
    if (!isInBackground) this.#priority.lower();
  }

  async #ask(send: () => Promise<void>, limit: TimeLimit): Promise<Reply> {
    if (this.#end) throw asError(this.#end);
    const reply = Promise.withResolvers<Reply>();
    this.#reply = reply;
    const stopWatch = watchTime({ pid: this.pid, cpuMs: this.#cpuMs }, limit, (reason) => this.#kill(reason));
    try {
      await Promise.race([send(), reply.promise]);
      return await reply.promise;
    } finally {
      stopWatch();
      this.#reply = null;
    }
  }

  /** Sends the file in parts. If the child is dying the channel is closed, and its 'close' event has the cause. */
  async #sendModel({ session, bytes, sha256 }: ModelFile): Promise<void> {
    for (let at = 0; at < bytes.length && this.#child.connected; at += PART_BYTES) {
      await this.#send({ kind: 'part', bytes: bytes.subarray(at, at + PART_BYTES) });
    }
    await this.#send({ kind: 'load', session, sha256 });
  }

  #send(command: Command): Promise<void> {
    return new Promise((resolve) => this.#child.send(command, () => resolve()));
  }
}

function priorityOf({ pid }: ChildProcess, { niceSteps, isInBackground }: ProcessOptions): ChildPriority {
  if (pid === undefined) return NO_PRIORITY;
  const priority = createChildPriority(pid, niceSteps);
  if (isInBackground) priority.giveWay();
  return priority;
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
