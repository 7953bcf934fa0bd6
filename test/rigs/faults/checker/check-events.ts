/** Checks acknowledgements of events: each id keeps one version, versions rise, and no version is used twice. */
import type { EventResult, SendEvents, SentEvent, SqlEvents } from '../history.ts';
import { type CallChecker, headOf } from './check-calls.ts';
import { DROPPED, flawOfErased, mayBeDropped } from './check-erasures.ts';
import type { Demand } from './demands.ts';
import { NOT_ACKNOWLEDGED } from './event-memory.ts';
import type { Known } from './known.ts';
import type { Violations } from './violations.ts';

export interface EventCounts {
  /** Distinct events. */
  acknowledged: number;
  /** Acknowledgements with the status `duplicate`. */
  duplicates: number;
  /** Events without effect, because their user was erased. */
  erased: number;
}

export interface EventChecker {
  checkSent(call: SendEvents): void;
  checkInserted(events: SqlEvents): void;
  readonly counts: EventCounts;
}

/** A mark of the event memory: the service has acknowledged the event as `accepted`. */
export const ACCEPTED = 1;
/** A mark of the event memory: the event's data set a value. */
export const CARRIES_A_VALUE = 8;
/** A mark of the event memory: a store has the event. */
export const STORED = 2;

type Acknowledgement = Pick<EventResult, 'id' | 'contextVersion' | 'contextToken'> & { readonly status?: string };

export function createEventChecker(known: Known, calls: CallChecker, violations: Violations): EventChecker {
  const counts: EventCounts = { acknowledged: 0, duplicates: 0, erased: 0 };
  const before: Demand = { version: 0, score: 0 };
  const { events: memory, erasures } = known;

  /** Returns whether the row change of the event was lost with the history. The event itself may still be applied. */
  function isOfLostHistory({ changedAt }: SentEvent): boolean {
    return changedAt <= known.faults.historyCountsFrom();
  }

  function placeOf(event: SentEvent): number {
    const place = memory.place(event.id);
    if (memory.user(place) < 0) {
      const isOrphan = isOfLostHistory(event);
      const user = known.userOf(event.userId);
      memory.describe(place, user, isOrphan ? 0 : event.score);
      if (isOrphan) known.addOrphan(user);
    }
    return place;
  }

  function acknowledge(event: SentEvent, result: Acknowledgement, call: SendEvents | SqlEvents): void {
    const place = placeOf(event);
    const { contextVersion: version } = result;
    const wrong = (why: string) =>
      violations.note('event versions', why, { event, result, before, call: headOf(call) });
    if (!result.contextToken.endsWith(`.${version}`)) wrong('a token of another version');
    if (result.status === 'duplicate') counts.duplicates++;
    else if (!memory.mark(place, ACCEPTED)) wrong('applied twice');
    const user = memory.user(place);
    const first = memory.version(place);
    const flaw = flawOfErased(erasures, call, result, user);
    if (flaw !== null) wrong(flaw);
    if (first !== NOT_ACKNOWLEDGED) {
      if (first !== version) wrong(`its version was ${first}`);
    } else if (mayBeDropped(erasures, event, result, user)) {
      acknowledgeDropped(event, result, place, wrong);
    } else if (memory.holder(user, version) >= 0) {
      wrong('another event has this version');
    } else {
      if (known.demands.find(user, event.firstSent, before) && version <= before.version) {
        wrong('not above a version that was known before it was sent');
      }
      counts.acknowledged++;
      memory.acknowledge(place, version);
    }
    known.demand(user, call.at, call.ended, version, memory.score(place));
    if (event.told !== undefined && result.status !== 'duplicate') {
      // Not `raise`: an event of a lost history that is sent again is accepted after events with higher values.
      known.values.replace(user, call.ended, version, event.told);
      memory.mark(place, CARRIES_A_VALUE);
    }
  }

  /**
   * Checks a dropped event. Events dropped by one erasure share the tombstone's version, which may be known already.
   */
  function acknowledgeDropped(
    { firstSent }: SentEvent,
    { contextVersion: version, status }: Acknowledgement,
    place: number,
    wrong: (why: string) => void,
  ): void {
    if (known.demands.find(memory.user(place), firstSent, before) && version < before.version) {
      wrong('below a version that was known before it was sent');
    }
    if (status === 'erased') counts.erased++;
    memory.mark(place, DROPPED);
    memory.acknowledge(place, version);
  }

  function acknowledgeAll(call: SendEvents | SqlEvents): void {
    // Events sent to a history that was lost since are acknowledged by no process.
    if (call.at <= known.faults.historyCountsFrom()) return;
    for (const [i, event] of call.events.entries()) {
      const result: Acknowledgement | undefined = call.results[i];
      if (result?.id !== event.id) {
        violations.note('event versions', 'no separate result', { event, result, call: headOf(call) });
      } else if (event.conflicting && !isOfLostHistory(event)) {
        violations.note('payload conflict', 'taken', { event, result, call: headOf(call) });
      } else acknowledge(event, result, call);
    }
  }

  return {
    counts,
    checkSent(call) {
      calls.check(call);
      call.events.forEach(placeOf);
      if (call.status === 202) acknowledgeAll(call);
    },
    checkInserted(inserted) {
      inserted.events.forEach(placeOf);
      if (inserted.isCommitted) acknowledgeAll(inserted);
    },
  };
}
