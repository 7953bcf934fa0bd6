/**
 * A place in the pool: one child after another. It loads models before it needs them, does one thing at a time, and
 * puts a new child in the place of one that died; one that dies without having done anything is replaced ever later.
 */

import type { InferenceLog } from './inference-log.ts';
import {
  type InferenceProcess,
  type ProcessEnd,
  type ProcessEnded,
  startInferenceProcess,
} from './inference-process.ts';
import type { ModelLoader } from './model-loader.ts';
import type { ModelRun, WireTensor } from './protocol.ts';

export interface SlotOptions {
  readonly memoryLimitMb: number;
  readonly startTimeoutMs: number;
  /** Sessions that a child keeps; the one unused for longest goes first. */
  readonly maxSessions: number;
  readonly loader: ModelLoader;
  /** The artifacts that a new child loads before it takes work. */
  warm(): Iterable<string>;
  /** The slot can take work. */
  onIdle(): void;
  /** The child ended and is replaced. */
  onRestart(why: ProcessEnd): void;
  readonly log: InferenceLog;
}

/** What to run, made when the model is loaded; null: nobody waits for it any more. */
export interface PreparedRun extends Omit<ModelRun, 'session'> {
  readonly killAfterMs: number;
}

export type SlotState = 'cold' | 'starting' | 'idle' | 'busy' | 'waiting' | 'closed';

export interface Slot {
  state(): SlotState;
  pid(): number | undefined;
  holds(hash: string): boolean;
  start(): void;
  /** Loads an artifact as soon as the slot is free. */
  prepare(hash: string): Promise<void>;
  /** Only when idle. Rejects with `unavailable`, `live_failed` or ProcessEnded. */
  run(hash: string, make: () => PreparedRun | null): Promise<readonly WireTensor[] | null>;
  /** Kills the child; resolves when it is gone. */
  close(): Promise<void>;
}

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 30_000;
/** After this many children that died at their start, the next is tried without the kernel's bound on its data. */
const BOUND_STARTS = 3;

interface Preparation {
  readonly hash: string;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export function createSlot(options: SlotOptions): Slot {
  const { loader, log, maxSessions, onIdle } = options;
  let state = 'cold' as SlotState;
  let process: InferenceProcess | null = null;
  let idleDeaths = 0;
  let timer: NodeJS.Timeout | null = null;
  /** In the order of their last use. */
  let sessions: string[] = [];
  const preparations: Preparation[] = [];

  function start(): void {
    if (state !== 'cold' && state !== 'waiting') return;
    state = 'starting';
    sessions = [];
    const { memoryLimitMb, startTimeoutMs } = options;
    const started = startInferenceProcess({ memoryLimitMb, startTimeoutMs, boundData: idleDeaths < BOUND_STARTS });
    process = started;
    void started.ended.then((end) => replace(started, end));
    started.ready.then(
      () => becomeFree([...options.warm()].map((hash) => ({ hash, done: () => {}, failed: () => {} }))),
      () => {},
    );
  }

  /** Whether the child was at work decides: a death of a run is the run's fault, any other the child's own. */
  function replace(dead: InferenceProcess, { message, why }: ProcessEnded): void {
    if (process !== dead || state === 'closed') return;
    const wasAtWork = state === 'busy';
    idleDeaths = wasAtWork ? 0 : idleDeaths + 1;
    const waitMs = wasAtWork ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (idleDeaths - 1));
    log('inference.process_ended', { pid: dead.pid, why, how: message, restartMs: waitMs });
    options.onRestart(why);
    process = null;
    state = 'waiting';
    if (waitMs === 0) start();
    else timer = setTimeout(start, waitMs);
  }

  async function becomeFree(first: readonly Preparation[] = []): Promise<void> {
    const mine = process;
    state = 'busy';
    preparations.unshift(...first);
    for (let next = preparations.shift(); next; next = preparations.shift()) {
      await ensureLoaded(next.hash).then(next.done, next.failed);
      // A child that died of loading is replaced, and its successor goes on with the rest.
      if (process !== mine || !mine?.isAlive()) return;
    }
    state = 'idle';
    onIdle();
  }

  async function ensureLoaded(hash: string): Promise<void> {
    const at = sessions.indexOf(hash);
    if (at < 0) {
      if (!process) throw new Error('no process');
      const release = sessions.slice(0, Math.max(0, sessions.length + 1 - maxSessions));
      await loader.load(process, hash, release);
      sessions = sessions.slice(release.length);
    } else sessions.splice(at, 1);
    sessions.push(hash);
  }

  async function run(hash: string, make: () => PreparedRun | null): Promise<readonly WireTensor[] | null> {
    const mine = process;
    state = 'busy';
    try {
      await ensureLoaded(hash);
      const prepared = make();
      if (!prepared || !mine) return null;
      const { killAfterMs, ...asked } = prepared;
      const { outputs } = await mine.run({ session: hash, ...asked }, killAfterMs);
      idleDeaths = 0;
      return outputs;
    } finally {
      // Where the child died, its replacement is under way already, or about to be.
      if (process === mine && mine?.isAlive()) void becomeFree();
    }
  }

  return {
    state: () => state,
    pid: () => process?.pid,
    holds: (hash) => sessions.includes(hash),
    start,
    prepare(hash) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      preparations.push({ hash, done: resolve, failed: reject });
      if (state === 'cold') start();
      else if (state === 'idle') void becomeFree();
      return promise;
    },
    run,
    async close() {
      state = 'closed';
      if (timer) clearTimeout(timer);
      for (const { failed } of preparations.splice(0)) failed(new Error('the pool is closed'));
      process?.kill('the pool is closed');
      await process?.ended;
    },
  };
}
