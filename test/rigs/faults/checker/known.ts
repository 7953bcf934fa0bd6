/** What the checker has learnt from the history so far: who is who, what was acknowledged, what was seen. */
import type { Read, ReadAnswer } from '../history.ts';
import { createDemands, type Demands } from './demands.ts';
import { createErasureMemory, type ErasureMemory } from './erasure-memory.ts';
import { createEventMemory, type EventMemory } from './event-memory.ts';
import { createFaultWindows, type FaultWindows } from './fault-windows.ts';

export interface Known {
  readonly faults: FaultWindows;
  readonly events: EventMemory;
  readonly erasures: ErasureMemory;
  /** Of acknowledged events and of what answers have shown to be committed. */
  readonly demands: Demands;
  /** Of the application's own rows; as scores. */
  readonly changes: Demands;
  /** Of the values that acknowledged SQL events carried; as scores. */
  readonly values: Demands;
  /** Users that were ever to be erased, also in a lost history: an erasure clears their values. */
  readonly everErased: Set<number>;
  /** A number from 0 for each user id. */
  userOf(userId: string): number;
  readonly users: ReadonlyMap<string, number>;
  /** From `ended` on nothing older is fresh. @param at when the operation was sent that tells it */
  demand(user: number, at: number, ended: number, version: number, score: number): void;
  learnFromAnswer(read: Read, answer: ReadAnswer, user: number): void;
  /** The highest label and score that answers have shown since the history was lost last. */
  highestSeen(user: number): { readonly label: number; readonly score: number };
  /** One more event of that user whose row's change is lost. */
  addOrphan(user: number): void;
  /** By how much a true label may be above the score: what raised the version without a change that is known. */
  unchanging(user: number): number;
  /** Whatever was acknowledged demands nothing any more. */
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
    users,
    demand,
    userOf(userId) {
      const known = users.get(userId);
      if (known !== undefined) return known;
      users.set(userId, users.size);
      return users.size - 1;
    },
    learnFromAnswer(read, { contextVersion, predictedFromContextVersion: label, score }, user) {
      // An unverified answer may be of a lost history, and tells nothing of this one.
      if (contextVersion === null || read.at <= faults.historyCountsFrom()) return;
      demand(user, read.at, read.ended, Math.max(contextVersion, label ?? 0), 0);
      see(user, label ?? 0, label === null ? 0 : (score ?? 0));
    },
    highestSeen: (user) => ({ label: labels[user] ?? 0, score: scores[user] ?? 0 }),
    addOrphan: (user) => void orphans.set(user, (orphans.get(user) ?? 0) + 1),
    unchanging: (user) => (orphans.get(user) ?? 0) + erasures.raises(user),
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
