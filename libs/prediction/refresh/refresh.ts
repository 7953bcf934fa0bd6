/**
 * Re-scoring after events. The relay names users that events made stale. Passes re-score them before a read asks, one
 * pass after the other, with a limited share of the worker's inference. Re-scoring decides nothing about freshness: a
 * lost user costs a live read, and a prediction that is never read costs processor time.
 */

import type { Predictor } from '@tandem/freshness/predictor';
import type { OutboxPage } from '../events/relay-outbox.ts';
import type { CpuBudget } from '../scoring/cpu-budget.ts';
import {
  type RefreshedUser,
  type RefreshOutcome,
  type RefreshPassDependencies,
  refreshUsers,
  refreshWindowMs,
} from './refresh-pass.ts';
import { RefreshQueue, type StaleUser } from './refresh-queue.ts';

/** Port: how often users are read, as a decayed count that combines recency and frequency. */
export interface DemandStore {
  /** Returns the weight of each user that has a count. Absent users have the weight 0. */
  weightsOf(userIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
}

export interface RefreshDependencies extends RefreshPassDependencies {
  readonly registry: RefreshPassDependencies['registry'] & { predictors(): Promise<readonly Predictor[]> };
  readonly demand: DemandStore;
  /** The CPU budget. Re-scoring charges it for each user of a pass, and the inference pool for the runs of models. */
  readonly budget: CpuBudget;
  readonly observer: RefreshObserver;
  /** A clock in milliseconds that only rises. */
  readonly now?: () => number;
  /** For tests: the maximum number of waiting users. */
  readonly most?: number;
}

/** Receives events for metrics and the log. */
export interface RefreshObserver {
  counted(predictor: string, outcome: RefreshOutcome): void;
  /** Receives the milliseconds from the event until the answer was stored. */
  stored(predictor: string, lagMs: number): void;
  dropped(users: number, why: 'full' | 'late'): void;
  /** Called for a pass that could not begin: its users are lost. */
  failed(users: number, error: unknown): void;
}

const USERS_A_PASS = 256;
const WEIGHED_A_PASS = 1_000;
/** How long users wait for each other, so that they share a statement and a run. */
const GATHER_MS = 100;
/** Processor time of the event loop in ms that each user costs in addition to the model, whatever the result. */
const LOOP_MS_A_USER = 0.05;
/**
 * The share of a window for which a user waits, so that events in quick succession share an inference: 250 ms of 2 s.
 */
const SHARE_OF_WINDOW = 1 / 8;
/** The window before any predictor is known. */
const USUAL_WINDOW_MS = 2_000;

/** The re-scoring of one worker. */
export class Refresh {
  readonly #dependencies: RefreshDependencies;
  readonly #queue: RefreshQueue;
  readonly #now: () => number;
  #shortestMs = USUAL_WINDOW_MS;
  #timer: NodeJS.Timeout | undefined;
  #passing: Promise<void> | undefined;
  #isStopped = false;

  constructor(dependencies: RefreshDependencies) {
    const { observer, now = () => performance.now(), most } = dependencies;
    this.#dependencies = dependencies;
    this.#now = now;
    this.#queue = new RefreshQueue({
      ...(most === undefined ? {} : { most }),
      // Events of one action share an inference. Later events wait for the next window.
      delayMs: () => this.#shortestMs * SHARE_OF_WINDOW,
      onDropped: observer.dropped,
      now,
    });
  }

  /** Queues the users of events that the relay has sent to Redis. Never throws and never waits. */
  told({ entries }: OutboxPage): void {
    if (this.#isStopped) return;
    for (const { userId, ageMs } of entries) this.#queue.add(userId, ageMs);
    this.#schedule();
  }

  /** Returns the number of waiting users. */
  waiting(): number {
    return this.#queue.size;
  }

  /** Returns how long the first waiting user has waited, in ms. */
  oldestMs(): number {
    return this.#queue.oldestMs();
  }

  /** Ends the current pass; waiting users are lost. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#passing;
  }

  #schedule(): void {
    if (this.#isStopped || this.#passing || this.#timer || this.#queue.size === 0) return;
    this.#timer = setTimeout(() => this.#start(), Math.max(GATHER_MS, this.#dependencies.budget.msToNext())).unref();
  }

  #start(): void {
    this.#timer = undefined;
    this.#passing = this.#pass().finally(() => {
      this.#passing = undefined;
      this.#schedule();
    });
  }

  /** Runs passes without a pause while a full pass of users is due and time is left. */
  async #pass(): Promise<void> {
    for (;;) {
      await this.#weigh();
      const users = this.#queue.takeDue(USERS_A_PASS);
      if (users.length === 0 || this.#isStopped) return;
      for (const predictor of await this.#refreshed(users)) await this.#refresh(predictor, users);
      if (users.length < USERS_A_PASS || this.#dependencies.budget.isSpent()) return;
    }
  }

  /** Returns the predictors that Postgres currently lists for re-scoring; none if Postgres does not answer. */
  async #refreshed(users: readonly StaleUser[]): Promise<readonly Predictor[]> {
    const { registry, authority, observer } = this.#dependencies;
    try {
      const certificate = await authority.certify([]);
      registry.noticeRevision(certificate.revision, certificate.history);
      const windows = new Map<Predictor, number>();
      for (const predictor of await registry.predictors()) {
        const stable = certificate.assignments(predictor.name)?.stable;
        const version = stable && (await registry.modelVersion(stable.modelVersionId));
        const windowMs = refreshWindowMs(predictor.policy, version);
        if (windowMs !== null) windows.set(predictor, windowMs);
      }
      this.#shortestMs = windows.size === 0 ? USUAL_WINDOW_MS : Math.min(...windows.values());
      return [...windows.keys()];
    } catch (error) {
      observer.failed(users.length, error);
      return [];
    }
  }

  async #refresh(predictor: Predictor, users: readonly StaleUser[]): Promise<void> {
    this.#dependencies.budget.charge(users.length * LOOP_MS_A_USER);
    const userIds = users.map(({ userId }) => userId);
    const outcomes = await refreshUsers(this.#dependencies, predictor, userIds);
    for (const user of users) this.#note(predictor.name, user, outcomes.get(user.userId));
  }

  #note(predictor: string, user: StaleUser, { outcome, waitMs = 0 }: RefreshedUser = { outcome: 'failed' }): void {
    const { observer } = this.#dependencies;
    observer.counted(predictor, outcome);
    if (outcome === 'inferred') observer.stored(predictor, this.#now() - user.at);
    if (outcome === 'waiting') this.#queue.putBack(user, this.#now() + waitMs);
  }

  /** Reads the weights of users. If they cannot be read, users are taken in the order of their events. */
  async #weigh(): Promise<void> {
    const users = this.#queue.unweighed(WEIGHED_A_PASS);
    if (users.length === 0) return;
    const userIds = users.map(({ userId }) => userId);
    const weights = await this.#dependencies.demand.weightsOf(userIds).catch(() => new Map<string, number>());
    for (const user of users) user.weight = weights.get(user.userId) ?? 0;
  }
}
