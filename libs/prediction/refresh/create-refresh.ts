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

interface Refresh {
  /** Queues the users of events that the relay has sent to Redis. Never throws and never waits. */
  told(page: OutboxPage): void;
  /** Returns the number of waiting users. */
  waiting(): number;
  /** Returns how long the first waiting user has waited, in ms. */
  oldestMs(): number;
  /** Ends the current pass; waiting users are lost. */
  stop(): Promise<void>;
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

export function createRefresh(dependencies: RefreshDependencies): Refresh {
  const { registry, authority, demand, budget, observer, now = () => performance.now(), most } = dependencies;
  let shortestMs = USUAL_WINDOW_MS;
  const queue = new RefreshQueue({
    ...(most === undefined ? {} : { most }),
    // Events of one action share an inference. Later events wait for the next window.
    delayMs: () => shortestMs * SHARE_OF_WINDOW,
    onDropped: observer.dropped,
    now,
  });
  let timer: NodeJS.Timeout | undefined;
  let passing: Promise<void> | undefined;
  let isStopped = false;

  function schedule(afterMs: number): void {
    if (isStopped || passing || timer || queue.size === 0) return;
    timer = setTimeout(start, Math.max(afterMs, budget.msToNext())).unref();
  }

  function start(): void {
    timer = undefined;
    passing = pass().finally(() => {
      passing = undefined;
      schedule(GATHER_MS);
    });
  }

  /** Runs passes without a pause while a full pass of users is due and time is left. */
  async function pass(): Promise<void> {
    await weigh();
    for (let users = queue.takeDue(USERS_A_PASS); users.length > 0 && !isStopped; users = queue.takeDue(USERS_A_PASS)) {
      for (const predictor of await refreshed(users)) await refresh(predictor, users);
      if (users.length < USERS_A_PASS || budget.isSpent()) return;
      await weigh();
    }
  }

  /** Returns the predictors that Postgres currently lists for re-scoring; none if Postgres does not answer. */
  async function refreshed(users: readonly StaleUser[]): Promise<readonly Predictor[]> {
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
      shortestMs = windows.size === 0 ? USUAL_WINDOW_MS : Math.min(...windows.values());
      return [...windows.keys()];
    } catch (error) {
      observer.failed(users.length, error);
      return [];
    }
  }

  async function refresh(predictor: Predictor, users: readonly StaleUser[]): Promise<void> {
    budget.charge(users.length * LOOP_MS_A_USER);
    const userIds = users.map(({ userId }) => userId);
    const outcomes = await refreshUsers(dependencies, predictor, userIds);
    for (const user of users) note(predictor.name, user, outcomes.get(user.userId));
  }

  function note(
    predictor: string,
    user: StaleUser,
    { outcome, waitMs = 0 }: RefreshedUser = { outcome: 'failed' },
  ): void {
    observer.counted(predictor, outcome);
    if (outcome === 'inferred') observer.stored(predictor, now() - user.at);
    if (outcome === 'waiting') queue.putBack(user, now() + waitMs);
  }

  /** Reads the weights of users. If they cannot be read, users are taken in the order of their events. */
  async function weigh(): Promise<void> {
    const users = queue.unweighed(WEIGHED_A_PASS);
    if (users.length === 0) return;
    const weights = await demand.weightsOf(users.map(({ userId }) => userId)).catch(() => new Map<string, number>());
    for (const user of users) user.weight = weights.get(user.userId) ?? 0;
  }

  return {
    told({ entries }) {
      if (isStopped) return;
      for (const { userId, ageMs } of entries) queue.add(userId, ageMs);
      schedule(GATHER_MS);
    },
    waiting: () => queue.size,
    oldestMs: () => queue.oldestMs(),
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await passing;
    },
  };
}
