/**
 * Tracks which users clients know to be erased. An erasure certainly applies from its acknowledgement until a
 * readmission is requested. It may apply from the moment of its request. A call without an answer may take effect
 * later, for as long as a process can be paused. Until then its effect is possible, and the state that it would end is
 * not certain.
 *
 * Memory: about 60 bytes per erasure, and a few hundred bytes for each user who was ever erased.
 */
import type { ErasureAct } from '../history.ts';

export interface ErasureMemory {
  /** Notes that a call is about to erase or readmit that user. */
  intend(user: number, act: ErasureAct, at: number): void;
  /** Notes an attempt without an acknowledgement. */
  leftOpen(user: number, act: ErasureAct, ended: number): void;
  /**
   * Notes an acknowledged erasure.
   * @param asked when the first attempt was sent
   */
  erased(user: number, asked: number, ended: number, version: number): void;
  readmitted(user: number, asked: number, ended: number): void;
  /** Returns whether the user was certainly not erased just before the last erasure was requested. */
  beganServed(user: number): boolean;
  /** Returns whether the user may have been erased at some moment from `at` on. */
  mayBeErased(user: number, at: number): boolean;
  /** Returns the tombstone's version if the user was erased all the time; otherwise 0. */
  erasedThroughout(user: number, at: number, ended: number): number;
  /** Returns the version of the newest tombstone that was acknowledged before `at`; 0 if none was. */
  deletedVersion(user: number, at: number): number;
  isTombstone(user: number, version: number): boolean;
  /** Returns how many of the user's versions may come from erasures and readmissions. */
  raises(user: number): number;
  /** Returns the users with any erasure. */
  users(): Iterable<number>;
  /** Notes that the history is lost: it is unknown whether these users are erased. */
  forget(): void;
}

interface Tombstone {
  readonly acknowledged: number;
  readonly version: number;
}

interface State {
  /** Tombstones in the order of their acknowledgements. */
  tombstones: Tombstone[];
  /** The user is erased for certain from `since` to `until`. */
  since: number;
  until: number;
  beganServed: boolean;
  /** The time until which the user may be erased. */
  mayUntil: number;
  /** The time until which an attempt without an acknowledgement may take effect. */
  readonly openUntil: Record<ErasureAct, number>;
  raises: number;
}

const NEVER = Number.NEGATIVE_INFINITY;
const FOR_EVER = Number.POSITIVE_INFINITY;

/** @param windowMs longer than a call can take effect after its sender stopped waiting for it */
export function createErasureMemory(windowMs: number): ErasureMemory {
  const states = new Map<number, State>();

  function stateOf(user: number): State {
    const known = states.get(user);
    if (known) return known;
    const openUntil = { erase: NEVER, readmit: NEVER };
    const times = { since: FOR_EVER, until: FOR_EVER, mayUntil: NEVER, openUntil };
    const state = { ...times, tombstones: [], beganServed: false, raises: 0 };
    states.set(user, state);
    return state;
  }

  return {
    intend(user, act, at) {
      const state = stateOf(user);
      state.raises++;
      if (act === 'readmit') state.until = at;
      else {
        state.beganServed = at > state.mayUntil;
        state.mayUntil = FOR_EVER;
      }
    },
    leftOpen(user, act, ended) {
      const state = stateOf(user);
      state.raises++;
      state.openUntil[act] = Math.max(state.openUntil[act], ended + windowMs);
    },
    erased(user, asked, ended, version) {
      const state = stateOf(user);
      if (state.tombstones.at(-1)?.version !== version) state.tombstones.push({ acknowledged: ended, version });
      const isCertain = asked > state.openUntil.readmit;
      state.since = isCertain ? ended : FOR_EVER;
      state.until = FOR_EVER;
    },
    readmitted(user, asked, ended) {
      const state = stateOf(user);
      if (asked > state.openUntil.erase) state.mayUntil = ended;
    },
    beganServed: (user) => states.get(user)?.beganServed === true,
    mayBeErased: (user, at) => at <= (states.get(user)?.mayUntil ?? NEVER),
    erasedThroughout(user, at, ended) {
      const state = states.get(user);
      return state && state.since < at && ended < state.until ? (state.tombstones.at(-1)?.version ?? 0) : 0;
    },
    deletedVersion(user, at) {
      const before = states.get(user)?.tombstones.findLast(({ acknowledged }) => acknowledged < at);
      return before?.version ?? 0;
    },
    isTombstone: (user, version) => states.get(user)?.tombstones.some((one) => one.version === version) === true,
    raises: (user) => states.get(user)?.raises ?? 0,
    users: () => states.keys(),
    forget() {
      for (const state of states.values()) {
        state.tombstones = [];
        state.since = FOR_EVER;
        state.until = FOR_EVER;
        state.mayUntil = FOR_EVER;
      }
    },
  };
}
