/**
 * Checks I11 from outside: no prediction below a tombstone is served. A read that began after an erasure was acknowledged
 * gets no answer labelled up to the tombstone, fresh or not. Until a readmission is requested, it gets no answer at all, and
 * events sent in that time have no effect.
 *
 * Also checks I2 across erasures: the version of a tombstone or of a readmission is above all versions known before, and no
 * event has it.
 */
import type {
  Erase,
  ErasureIntent,
  EventResult,
  Read,
  ReadAnswer,
  Readmit,
  SendEvents,
  SentEvent,
  SqlEvents,
} from '../history.ts';
import { type CallChecker, headOf } from './check-calls.ts';
import type { Demand } from './demands.ts';
import type { ErasureMemory } from './erasure-memory.ts';
import type { Known } from './known.ts';
import type { Violations } from './violations.ts';

export interface ErasureCounts {
  /** Acknowledged erasures. */
  erased: number;
  readmitted: number;
}

export interface ErasureChecker {
  intend(intent: ErasureIntent): void;
  check(call: Erase | Readmit): void;
  readonly counts: ErasureCounts;
}

/** A mark of the event memory: the event may have been accepted while its user was erased, with the tombstone's version. */
export const DROPPED = 4;

export function createErasureChecker(known: Known, calls: CallChecker, violations: Violations): ErasureChecker {
  const counts: ErasureCounts = { erased: 0, readmitted: 0 };
  const before: Demand = { version: 0, score: 0 };
  const { erasures } = known;

  function checkVersion(call: Erase | Readmit, user: number, version: number): void {
    const wrong = (why: string) => violations.note('event versions', why, { before, call: headOf(call) });
    const raises = call.kind === 'erase' ? erasures.beganServed(user) : call.wasErased;
    if (known.demands.find(user, call.firstSent, before) && version < before.version + (raises ? 1 : 0)) {
      wrong(`${call.kind}: not above a version that was known before its request`);
    }
    const holder = known.events.holder(user, version);
    if (raises && holder >= 0 && !known.events.isMarked(holder, DROPPED))
      wrong(`${call.kind}: an event has this version`);
  }

  function acknowledged(call: Erase | Readmit, user: number, version: number): void {
    const { firstSent, ended } = call;
    known.demand(user, firstSent, ended, version, 0);
    if (call.kind === 'erase') {
      counts.erased++;
      erasures.erased(user, firstSent, ended, version);
    } else {
      counts.readmitted++;
      erasures.readmitted(user, firstSent, ended);
    }
  }

  return {
    counts,
    intend({ userId, act, at }) {
      known.everErased.add(known.userOf(userId));
      erasures.intend(known.userOf(userId), act, at);
    },
    check(call) {
      calls.check(call);
      const user = known.userOf(call.userId);
      const { contextVersion: version } = call;
      // A call sent to a history that was lost since proves nothing about the current one.
      if (version === null || call.firstSent <= known.faults.historyCountsFrom()) {
        if (call.failure !== 'refused') erasures.leftOpen(user, call.kind, call.ended);
        return;
      }
      checkVersion(call, user, version);
      acknowledged(call, user, version);
    },
  };
}

/** Returns why the known erasures forbid this answer, fresh or not, or null if they allow it. */
export function servedThoughErased(
  erasures: ErasureMemory,
  { at, ended }: Read,
  { predictedFromContextVersion: label }: ReadAnswer,
  user: number,
): string | null {
  const tombstone = erasures.erasedThroughout(user, at, ended);
  if (tombstone > 0) return `the user is erased, at version ${tombstone}`;
  const deleted = erasures.deletedVersion(user, at);
  return deleted > 0 && label !== null && label <= deleted
    ? `label ${label} is not above the tombstone's ${deleted}`
    : null;
}

type Acknowledgement = Pick<EventResult, 'contextVersion'> & { readonly status?: string };

/** Returns why the acknowledgement of an event contradicts the known erasures of its user; null if it does not. */
export function flawOfErased(
  erasures: ErasureMemory,
  { at, ended }: SendEvents | SqlEvents,
  { status, contextVersion: version }: Acknowledgement,
  user: number,
): string | null {
  if (status === 'accepted' && erasures.isTombstone(user, version)) return 'accepted with the version of a tombstone';
  if (status === 'erased' && !erasures.mayBeErased(user, at)) return 'dropped, although its user was not erased';
  const tombstone = erasures.erasedThroughout(user, at, ended);
  // A duplicate may have been applied before the erasure.
  if (tombstone === 0 || status === 'duplicate' || version === tombstone) return null;
  return `its user is erased, at version ${tombstone}`;
}

/** Returns whether an event may have been accepted while its user was erased; it then shares the tombstone's version. */
export function mayBeDropped(
  erasures: ErasureMemory,
  { firstSent }: SentEvent,
  { status, contextVersion: version }: Acknowledgement,
  user: number,
): boolean {
  if (status === 'accepted') return false;
  return status === 'erased' || erasures.isTombstone(user, version) || erasures.mayBeErased(user, firstSent);
}
