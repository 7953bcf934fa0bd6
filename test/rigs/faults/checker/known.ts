/** The facts that the checker has learned from the history so far: users, acknowledgements, and answers. */
import type { Read, ReadAnswer } from '../history.ts';
import { createDemands, type Demands } from './demands.ts';
import { createErasureMemory, type ErasureMemory } from './erasure-memory.ts';
import { createEventMemory, type EventMemory } from './event-memory.ts';
import { createFaultWindows, type FaultWindows } from './fault-windows.ts';

export interface Known {
  readonly faults: FaultWindows;
  readonly events: EventMemory;
  readonly erasures: ErasureMemory;
  /** Demands by acknowledged events, and by commits that answers have shown. */
  readonly demands: Demands;
  /** Demands by the application's own rows, as scores. */
  readonly changes: Demands;
  /** Demands by the values of acknowledged SQL events and of shared rows, as scores. */
  readonly values: Demands;
  /** Users with any requested erasure, also in a lost history: an erasure clears their values. */
  readonly everErased: Set<number>;
  /** Users who share rows: a change raises versions of users that its writer does not know. */
  readonly sharing: Set<number>;
  /** Returns the number of a user id, counted from 0. */
  userOf(userId: string): number;
  readonly users: ReadonlyMap<string, number>;
  /**
   * Notes that no older answer is fresh from `ended` on.
   * @param at when the operation that shows this was sent
   */
  demand(user: number, at: number, ended: number, version: number, score: number): void;
  learnFromAnswer(read: Read, answer: ReadAnswer, user: number): void;
  /** Returns the highest label and score in answers since the last loss of history. */
  highestSeen(user: number): { readonly label: number; readonly score: number };
  /** Counts one more event of that user whose row change is lost. */
  addOrphan(user: number): void;
  /** Returns by how much a correct label may exceed the score: the number of version raises without a known change. */
  unchanging(user: number): number;
  /** Notes that earlier acknowledgements no longer demand anything. */
  forgetHistory(): void;
}

/** @param windowMs longer than any call takes */
export function createKnown(windowMs: number): Known {
  const faults = createFaultWindows();
  const events = createEventMemory();
  const erasures = createErasureMemory(windowMs);
  const demands = createDemands(windowMs);
  const changes = createDemands(windowMs);
  const values = createDemands(windowMs);
  const everErased = new Set<number>();
  const sharing = new Set<number>();
  const users = new Map<string, number>();
  const orphans = new Map<number, number>();
  let labels = new Int32Array(1_024);
  let scores = new Int32Array(1_024);

  function see(user: number, label: number, score: number): void {
    if (user >= labels.length) {
      labels = grown(labels, user);
      scores = grown(scores, user);
    }
    if (label > (labels[user] as number)) labels[user] = label;
    if (score > (scores[user] as number)) scores[user] = score;
  }

  function demand(user: number, at: number, ended: number, version: number, score: number): void {
    if (at > faults.historyCountsFrom()) demands.raise(user, ended, version, score);
  }

  return {
    faults,
    events,
    erasures,
    demands,
    changes,
    values,
    everErased,
    sharing,
    users,
    demand,
    userOf(userId) {
      const known = users.get(userId);
      if (known !== undefined) return known;
      users.set(userId, users.size);
      return users.size - 1;
    },
    learnFromAnswer(read, { contextVersion, predictedFromContextVersion: label, score }, user) {
      // An unverified answer may be of a lost history, and proves nothing about the current one.
      if (contextVersion === null || read.at <= faults.historyCountsFrom()) return;
      demand(user, read.at, read.ended, Math.max(contextVersion, label ?? 0), 0);
      see(user, label ?? 0, label === null ? 0 : (score ?? 0));
    },
    highestSeen: (user) => ({ label: labels[user] ?? 0, score: scores[user] ?? 0 }),
    addOrphan: (user) => void orphans.set(user, (orphans.get(user) ?? 0) + 1),
    unchanging: (user) => (sharing.has(user) ? Infinity : (orphans.get(user) ?? 0) + erasures.raises(user)),
    forgetHistory() {
      events.forget();
      erasures.forget();
      demands.forget();
      changes.forget();
      values.forget();
      labels.fill(0);
      scores.fill(0);
    },
  };
}

function grown(old: Int32Array, user: number): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(Math.max(old.length * 2, user + 1));
  longer.set(old);
  return longer;
}
