/**
 * A slot of the pool, which has one child after another. It loads models ahead, does one thing at a time, and replaces
 * a child that died. Children that die without any work are replaced with increasing delay. A new child loads the last
 * used model of its predecessor, takes work, and loads the other models while idle.
 */

import type { ScoreRequest } from '@tandem/prediction/scoring/scoring';
import {
  BOUND_STARTS,
  InferenceProcess,
  type ProcessEnd,
  type ProcessEnded,
  type ProcessOptions,
} from '../process/inference-process.ts';
import type { ModelRun, RunAnswer } from '../process/protocol.ts';
import type { TimeLimit } from '../process/time-limit.ts';
import { HeldModels } from './held-models.ts';
import type { InferenceLog, ModelLoader } from './model-loader.ts';

interface SlotOptions extends Pick<ProcessOptions, 'memoryLimitMb' | 'startLimit' | 'niceSteps' | 'threads'> {
  readonly loader: ModelLoader;
  /** Returns the artifacts that a new child loads while it has no work, as far as there is room. */
  wanted(): Iterable<string>;
  /** Called when the slot can take work. */
  onIdle(): void;
  /** Called after a run was answered. */
  onRun?(run: FinishedRun): void;
  /** Called when the child has ended and is replaced. */
  onRestart(why: ProcessEnd): void;
  readonly log: InferenceLog;
}

/** The run to perform. It is prepared when the model is loaded; null if no request waits for it. */
export interface PreparedRun extends Omit<ModelRun, 'session'> {
  /** The limit at which the child is killed. */
  readonly limit: TimeLimit;
  /** The priority of all rows. */
  readonly priority: ScoreRequest['priority'];
}

/** The outputs of a run, and its CPU in the child, in ms. */
export type SlotAnswer = Pick<RunAnswer, 'outputs' | 'cpuMs'>;

/** The cost of a run, as measured by the child. */
export interface FinishedRun extends Pick<RunAnswer, 'ms' | 'cpuMs'> {
  readonly artifactHash: string;
  readonly rows: number;
  readonly priority: ScoreRequest['priority'];
}

type SlotState = 'cold' | 'starting' | 'idle' | 'busy' | 'waiting' | 'closed';

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 30_000;

interface Preparation {
  readonly work: (models: HeldModels) => Promise<void> | void;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** The models of a child that will replace the current child. */
interface Heir {
  readonly models: HeldModels;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export class Slot {
  readonly #options: SlotOptions;
  #state: SlotState = 'cold';
  /** The models of its child, which is running or about to start. */
  #models: HeldModels | null = null;
  /** The number of children in a row that died without doing any work. */
  #idleDeaths = 0;
  #restart: NodeJS.Timeout | null = null;
  /** Artifacts that the child loads while it has no work. */
  #backlog: string[] = [];
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
    return this.#models?.child.pid;
  }

  hasLoaded(hash: string): boolean {
    return this.#models?.has(hash) ?? false;
  }

  /** Returns the artifacts that its child has loaded, most recently used first. */
  loaded(): readonly string[] {
    return this.#models?.hashes().reverse() ?? [];
  }

  /** Returns the memory of the models that its child has loaded. */
  loadedBytes(): number {
    return this.#models?.bytes() ?? 0;
  }

  start(): void {
    if (this.#state !== 'cold' && this.#state !== 'waiting') return;
    this.#state = 'starting';
    const { memoryLimitMb, startLimit, niceSteps, threads, loader } = this.#options;
    const boundData = this.#idleDeaths < BOUND_STARTS;
    const started = new InferenceProcess({ memoryLimitMb, startLimit, boundData, niceSteps, threads });
    this.#models = new HeldModels(started, loader);
    const [first, ...others] = new Set([...this.#backlog, ...this.#options.wanted()]);
    this.#backlog = others;
    // Loads first the model that the next request most likely needs. The others are loaded while there is no work.
    if (first !== undefined) this.#preparations.unshift(inBackground((models) => models.use(first, 'ahead')));
    void started.ended.then((end) => this.#replace(started, end));
    started.ready.then(
      () => (this.#models?.child === started ? this.#becomeFree() : undefined),
      () => {},
    );
  }

  /** Loads an artifact as soon as the slot is free. */
  prepare(hash: string): Promise<void> {
    return this.#do((models) => models.use(hash, 'ahead'));
  }

  /** Unloads artifacts as soon as the slot is free. */
  async unload(hashes: readonly string[]): Promise<void> {
    this.#backlog = this.#backlog.filter((hash) => !hashes.includes(hash));
    if (hashes.some((hash) => this.hasLoaded(hash))) await this.#do((models) => models.unload(hashes));
  }

  /** Resolves when its child can take work; immediately if there is no child yet. */
  whenFree(): Promise<void> {
    return this.#state === 'cold' || this.#state === 'idle' ? Promise.resolve() : this.#do(() => {});
  }

  /** Replaces the current child, after its run, by the child of these models. */
  adopt(models: HeldModels): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#heir = { models, done: resolve, failed: reject };
    if (this.#state === 'closed') this.#leaving = Promise.all([this.#leaving, abandon(this.#heir)]);
    else if (this.#state !== 'busy') this.#succeed(this.#heir);
    return promise;
  }

  /**
   * Performs a run. To be called only when idle. Rejects with `unavailable`, `live_failed`, `overloaded` or
   * ProcessEnded.
   */
  async run(hash: string, make: () => PreparedRun | null): Promise<SlotAnswer | null> {
    const mine = this.#models;
    if (!mine) throw new Error('no process');
    this.#state = 'busy';
    try {
      await mine.use(hash, 'on_demand');
      const prepared = make();
      if (!prepared) return null;
      const { limit, priority, ...asked } = prepared;
      const { outputs, ms, cpuMs } = await mine.child.run({ session: hash, ...asked }, limit);
      this.#idleDeaths = 0;
      this.#options.onRun?.({ artifactHash: hash, rows: asked.feeds[0]?.dims[0] ?? 0, ms, cpuMs, priority });
      return { outputs, cpuMs };
    } finally {
      // If the child died, its replacement has started or is about to.
      if (this.#models === mine && mine.child.isAlive()) void this.#becomeFree();
    }
  }

  /** Kills the child. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#state = 'closed';
    if (this.#restart) clearTimeout(this.#restart);
    for (const { failed } of this.#preparations.splice(0)) failed(closed());
    const child = this.#models?.child;
    child?.kill('the pool is closed');
    await Promise.all([child?.ended, this.#leaving, this.#heir && abandon(this.#heir)]);
  }

  #succeed({ models, done }: Heir): void {
    this.#heir = null;
    if (this.#restart) clearTimeout(this.#restart);
    const before = this.#models?.child;
    before?.kill('another child has replaced it');
    this.#leaving = Promise.all([this.#leaving, before?.ended]);
    this.#models = models;
    this.#idleDeaths = 0;
    const { child } = models;
    child.toForeground();
    void child.ended.then((end) => this.#replace(child, end));
    done();
    void this.#becomeFree();
  }

  /**
   * Handles the end of a child. The end is the fault of a run if the child was running one, else of the child itself.
   */
  #replace(dead: InferenceProcess, { message, why }: ProcessEnded): void {
    if (this.#models?.child !== dead || this.#state === 'closed') return;
    const wasAtWork = this.#state === 'busy';
    this.#idleDeaths = wasAtWork ? 0 : this.#idleDeaths + 1;
    const waitMs = wasAtWork ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.#idleDeaths - 1));
    this.#options.log('inference.process_ended', { pid: dead.pid, why, how: message, restartMs: waitMs });
    this.#options.onRestart(why);
    const wanted = new Set(this.#options.wanted());
    this.#backlog = this.loaded().filter((hash) => wanted.has(hash));
    this.#models = null;
    this.#state = 'waiting';
    if (this.#heir) this.#succeed(this.#heir);
    else if (waitMs === 0) this.start();
    else this.#restart = setTimeout(() => this.start(), waitMs);
  }

  async #becomeFree(): Promise<void> {
    const mine = this.#models;
    if (!mine) return;
    this.#state = 'busy';
    for (let next = this.#preparations.shift(); next; next = this.#preparations.shift()) {
      await Promise.resolve(next.work(mine)).then(next.done, next.failed);
      // A child that died while loading is replaced, and its successor continues with the rest.
      if (this.#models !== mine || !mine.child.isAlive()) return;
    }
    if (this.#heir) return this.#succeed(this.#heir);
    this.#state = 'idle';
    this.#options.onIdle();
    // The next load begins after the work that waits for this slot, which `onIdle` starts at the end of this turn.
    if (this.#backlog.length > 0) setImmediate(() => this.#loadNext());
  }

  #loadNext(): void {
    const models = this.#models;
    if (this.#state !== 'idle' || !models) return;
    for (let next = this.#backlog.shift(); next !== undefined; next = this.#backlog.shift()) {
      const hash = next;
      if (models.has(hash) || !models.hasRoomFor(hash)) continue;
      return void this.#do((held) => held.add(hash, 'ahead')).catch(() => {});
    }
  }

  /** Does work when the child is free, before the next run. */
  #do(work: Preparation['work']): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#preparations.push({ work, done: resolve, failed: reject });
    if (this.#state === 'cold') this.start();
    else if (this.#state === 'idle') void this.#becomeFree();
    return promise;
  }
}

function inBackground(work: Preparation['work']): Preparation {
  return { work, done: () => {}, failed: () => {} };
}

/** Resolves when its child has ended. */
function abandon({ models: { child }, failed }: Heir): Promise<unknown> {
  failed(closed());
  child.kill('the pool is closed');
  return child.ended;
}

function closed(): Error {
  return new Error('the pool is closed');
}
