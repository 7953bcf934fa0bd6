/**
 * A place in the pool: one child after another. It loads models before it needs them, does one thing at a time, and
 * puts a new child in the place of one that died; one that dies without having done anything is replaced ever later.
 */

import {
  BOUND_STARTS,
  type InferenceProcess,
  type ProcessEnd,
  type ProcessEnded,
  startInferenceProcess,
} from '../process/inference-process.ts';
import type { ModelRun, WireTensor } from '../process/protocol.ts';
import type { TimeLimit } from '../process/time-limit.ts';
import type { InferenceLog, ModelLoader } from './model-loader.ts';

export interface SlotOptions {
  readonly memoryLimitMb: number;
  readonly startLimit: TimeLimit;
  /** Steps of niceness beyond the parent's; those of a child that serves where it is not said. */
  readonly niceSteps?: number | undefined;
  /** Sessions that a child keeps; the one unused for longest goes first. */
  maxSessions(): number;
  readonly loader: ModelLoader;
  /** The artifacts that a new child loads before it takes work. */
  warm(): Iterable<string>;
  /** The slot can take work. */
  onIdle(): void;
  /** A run was answered. */
  onRun?(run: FinishedRun): void;
  /** The child ended and is replaced. */
  onRestart(why: ProcessEnd): void;
  readonly log: InferenceLog;
}

/** What to run, made when the model is loaded; null: nobody waits for it any more. */
export interface PreparedRun extends Omit<ModelRun, 'session'> {
  /** At which the child is killed. */
  readonly limit: TimeLimit;
}

/** What a run took, by the child's own measure. */
export interface FinishedRun {
  readonly artifactHash: string;
  readonly rows: number;
  /** From its start to its end. */
  readonly ms: number;
  /** CPU, in ms. */
  readonly cpuMs: number;
}

export type SlotState = 'cold' | 'starting' | 'idle' | 'busy' | 'waiting' | 'closed';

export interface Slot {
  state(): SlotState;
  pid(): number | undefined;
  holds(hash: string): boolean;
  start(): void;
  /** Loads an artifact as soon as the slot is free. */
  prepare(hash: string): Promise<void>;
  /** Resolves when its child could take work, at once where there is none yet. */
  whenFree(): Promise<void>;
  /** Gives the place to a child that holds these artifacts, after the run of the one at work, which then ends. */
  adopt(child: InferenceProcess, held: readonly string[]): Promise<void>;
  /** Only when idle. Rejects with `unavailable`, `live_failed`, `overloaded` or ProcessEnded. */
  run(hash: string, make: () => PreparedRun | null): Promise<readonly WireTensor[] | null>;
  /** Kills the child; resolves when it is gone. */
  close(): Promise<void>;
}

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 30_000;

interface Preparation {
  /** Null: nothing is to be loaded, somebody waits until it would be. */
  readonly hash: string | null;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** A child that is to take the place of the one at work. */
interface Heir {
  readonly child: InferenceProcess;
  readonly held: readonly string[];
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export function createSlot(options: SlotOptions): Slot {
  const { loader, log, onIdle } = options;
  let state = 'cold' as SlotState;
  let process: InferenceProcess | null = null;
  let idleDeaths = 0;
  let timer: NodeJS.Timeout | null = null;
  /** In the order of their last use. */
  let sessions: string[] = [];
  const preparations: Preparation[] = [];
  let heir: Heir | null = null;
  let leaving: Promise<unknown> = Promise.resolve();

  function start(): void {
    if (state !== 'cold' && state !== 'waiting') return;
    state = 'starting';
    sessions = [];
    const { memoryLimitMb, startLimit, niceSteps } = options;
    const boundData = idleDeaths < BOUND_STARTS;
    const started = startInferenceProcess({ memoryLimitMb, startLimit, boundData, niceSteps });
    process = started;
    void started.ended.then((end) => replace(started, end));
    const warm = () => [...options.warm()].map((hash) => ({ hash, done: () => {}, failed: () => {} }));
    started.ready.then(
      () => (process === started ? becomeFree(warm()) : undefined),
      () => {},
    );
  }

  /** What the child before it was still to load is loaded into the heir, where that does not hold it. */
  function succeed({ child, held, done }: Heir): void {
    heir = null;
    if (timer) clearTimeout(timer);
    process?.kill('another has taken its place');
    leaving = Promise.all([leaving, process?.ended]);
    process = child;
    sessions = [...held];
    idleDeaths = 0;
    child.toForeground();
    void child.ended.then((end) => replace(child, end));
    done();
    void becomeFree();
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
    if (heir) succeed(heir);
    else if (waitMs === 0) start();
    else timer = setTimeout(start, waitMs);
  }

  async function becomeFree(first: readonly Preparation[] = []): Promise<void> {
    const mine = process;
    state = 'busy';
    preparations.unshift(...first);
    for (let next = preparations.shift(); next; next = preparations.shift()) {
      await (next.hash === null ? next.done() : ensureLoaded(next.hash).then(next.done, next.failed));
      // A child that died of loading is replaced, and its successor goes on with the rest.
      if (process !== mine || !mine?.isAlive()) return;
    }
    if (heir) return succeed(heir);
    state = 'idle';
    onIdle();
  }

  async function ensureLoaded(hash: string): Promise<void> {
    const at = sessions.indexOf(hash);
    if (at < 0) {
      if (!process) throw new Error('no process');
      const release = sessions.slice(0, Math.max(0, sessions.length + 1 - options.maxSessions()));
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
      const { limit, ...asked } = prepared;
      const { outputs, ms, cpuMs } = await mine.run({ session: hash, ...asked }, limit);
      idleDeaths = 0;
      options.onRun?.({ artifactHash: hash, rows: asked.feeds[0]?.dims[0] ?? 0, ms, cpuMs });
      return outputs;
    } finally {
      // Where the child died, its replacement is under way already, or about to be.
      if (process === mine && mine?.isAlive()) void becomeFree();
    }
  }

  function queue(hash: string | null): Promise<void> {
    if (state === 'closed') return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    preparations.push({ hash, done: resolve, failed: reject });
    return promise;
  }

  return {
    ...{ start, run },
    state: () => state,
    pid: () => process?.pid,
    holds: (hash) => sessions.includes(hash),
    prepare(hash) {
      const prepared = queue(hash);
      if (state === 'cold') start();
      else if (state === 'idle') void becomeFree();
      return prepared;
    },
    whenFree: () => (state === 'cold' || state === 'idle' ? Promise.resolve() : queue(null)),
    adopt(child, held) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      heir = { child, held, done: resolve, failed: reject };
      if (state === 'closed') leaving = Promise.all([leaving, abandon(heir)]);
      else if (state !== 'busy') succeed(heir);
      return promise;
    },
    async close() {
      state = 'closed';
      if (timer) clearTimeout(timer);
      for (const { failed } of preparations.splice(0)) failed(closed());
      process?.kill('the pool is closed');
      await Promise.all([process?.ended, leaving, heir && abandon(heir)]);
    },
  };
}

/** Resolves when its child is gone. */
function abandon({ child, failed }: Heir): Promise<unknown> {
  failed(closed());
  child.kill('the pool is closed');
  return child.ended;
}

function closed(): Error {
  return new Error('the pool is closed');
}
