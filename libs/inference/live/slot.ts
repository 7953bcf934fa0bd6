/**
 * A slot of the pool: one child after another. It loads models before it needs them, does one thing at a time, and
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

interface SlotOptions {
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

type SlotState = 'cold' | 'starting' | 'idle' | 'busy' | 'waiting' | 'closed';

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 30_000;

interface Preparation {
  /** Null: nothing is to be loaded, somebody waits until it would be. */
  readonly hash: string | null;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** A child that is to replace the one at work. */
interface Heir {
  readonly child: InferenceProcess;
  readonly loaded: readonly string[];
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export class Slot {
  readonly #options: SlotOptions;
  #state: SlotState = 'cold';
  #process: InferenceProcess | null = null;
  /** Children in a row that died without having done anything. */
  #idleDeaths = 0;
  #restart: NodeJS.Timeout | null = null;
  /** In the order of their last use. */
  #sessions: string[] = [];
  readonly #preparations: Preparation[] = [];
  #heir: Heir | null = null;
  /** Resolves when the children that left this slot are gone. */
  #leaving: Promise<unknown> = Promise.resolve();

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  state(): SlotState {
    return this.#state;
  }

  pid(): number | undefined {
    return this.#process?.pid;
  }

  hasLoaded(hash: string): boolean {
    return this.#sessions.includes(hash);
  }

  start(): void {
    if (this.#state !== 'cold' && this.#state !== 'waiting') return;
    this.#state = 'starting';
    this.#sessions = [];
    const { memoryLimitMb, startLimit, niceSteps, warm } = this.#options;
    const boundData = this.#idleDeaths < BOUND_STARTS;
    const started = startInferenceProcess({ memoryLimitMb, startLimit, boundData, niceSteps });
    this.#process = started;
    void started.ended.then((end) => this.#replace(started, end));
    const preparations = () => [...warm()].map((hash) => ({ hash, done: () => {}, failed: () => {} }));
    started.ready.then(
      () => (this.#process === started ? this.#becomeFree(preparations()) : undefined),
      () => {},
    );
  }

  /** Loads an artifact as soon as the slot is free. */
  prepare(hash: string): Promise<void> {
    const prepared = this.#queue(hash);
    if (this.#state === 'cold') this.start();
    else if (this.#state === 'idle') void this.#becomeFree();
    return prepared;
  }

  /** Resolves when its child could take work, at once where there is none yet. */
  whenFree(): Promise<void> {
    return this.#state === 'cold' || this.#state === 'idle' ? Promise.resolve() : this.#queue(null);
  }

  /** Replaces the child at work, after its run, by one that has loaded these artifacts. */
  adopt(child: InferenceProcess, loaded: readonly string[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#heir = { child, loaded, done: resolve, failed: reject };
    if (this.#state === 'closed') this.#leaving = Promise.all([this.#leaving, abandon(this.#heir)]);
    else if (this.#state !== 'busy') this.#succeed(this.#heir);
    return promise;
  }

  /** Only when idle. Rejects with `unavailable`, `live_failed`, `overloaded` or ProcessEnded. */
  async run(hash: string, make: () => PreparedRun | null): Promise<readonly WireTensor[] | null> {
    const mine = this.#process;
    this.#state = 'busy';
    try {
      await this.#ensureLoaded(hash);
      const prepared = make();
      if (!prepared || !mine) return null;
      const { limit, ...asked } = prepared;
      const { outputs, ms, cpuMs } = await mine.run({ session: hash, ...asked }, limit);
      this.#idleDeaths = 0;
      this.#options.onRun?.({ artifactHash: hash, rows: asked.feeds[0]?.dims[0] ?? 0, ms, cpuMs });
      return outputs;
    } finally {
      // Where the child died, its replacement is under way already, or about to be.
      if (this.#process === mine && mine?.isAlive()) void this.#becomeFree();
    }
  }

  /** Kills the child; resolves when it is gone. */
  async close(): Promise<void> {
    this.#state = 'closed';
    if (this.#restart) clearTimeout(this.#restart);
    for (const { failed } of this.#preparations.splice(0)) failed(closed());
    this.#process?.kill('the pool is closed');
    await Promise.all([this.#process?.ended, this.#leaving, this.#heir && abandon(this.#heir)]);
  }

  /** Loads into the heir what the child before it was still to load, unless the heir has loaded it. */
  #succeed({ child, loaded, done }: Heir): void {
    this.#heir = null;
    if (this.#restart) clearTimeout(this.#restart);
    this.#process?.kill('another has taken its place');
    this.#leaving = Promise.all([this.#leaving, this.#process?.ended]);
    this.#process = child;
    this.#sessions = [...loaded];
    this.#idleDeaths = 0;
    child.toForeground();
    void child.ended.then((end) => this.#replace(child, end));
    done();
    void this.#becomeFree();
  }

  /** Whether the child was at work decides: a death of a run is the run's fault, any other the child's own. */
  #replace(dead: InferenceProcess, { message, why }: ProcessEnded): void {
    if (this.#process !== dead || this.#state === 'closed') return;
    const wasAtWork = this.#state === 'busy';
    this.#idleDeaths = wasAtWork ? 0 : this.#idleDeaths + 1;
    const waitMs = wasAtWork ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.#idleDeaths - 1));
    this.#options.log('inference.process_ended', { pid: dead.pid, why, how: message, restartMs: waitMs });
    this.#options.onRestart(why);
    this.#process = null;
    this.#state = 'waiting';
    if (this.#heir) this.#succeed(this.#heir);
    else if (waitMs === 0) this.start();
    else this.#restart = setTimeout(() => this.start(), waitMs);
  }

  async #becomeFree(first: readonly Preparation[] = []): Promise<void> {
    const mine = this.#process;
    this.#state = 'busy';
    this.#preparations.unshift(...first);
    for (let next = this.#preparations.shift(); next; next = this.#preparations.shift()) {
      await (next.hash === null ? next.done() : this.#ensureLoaded(next.hash).then(next.done, next.failed));
      // A child that died of loading is replaced, and its successor goes on with the rest.
      if (this.#process !== mine || !mine?.isAlive()) return;
    }
    if (this.#heir) return this.#succeed(this.#heir);
    this.#state = 'idle';
    this.#options.onIdle();
  }

  async #ensureLoaded(hash: string): Promise<void> {
    const at = this.#sessions.indexOf(hash);
    if (at < 0) {
      if (!this.#process) throw new Error('no process');
      const { loader, maxSessions } = this.#options;
      const release = this.#sessions.slice(0, Math.max(0, this.#sessions.length + 1 - maxSessions()));
      await loader.load(this.#process, hash, release);
      this.#sessions = this.#sessions.slice(release.length);
    } else this.#sessions.splice(at, 1);
    this.#sessions.push(hash);
  }

  #queue(hash: string | null): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#preparations.push({ hash, done: resolve, failed: reject });
    return promise;
  }
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
