/**
 * The certificate: the assigned arms and each user's context version at one moment, as Postgres states them. Only
 * Postgres decides freshness. A read may use a certificate only if its statement began after the read arrived.
 */
import type { RolloutKind, RolloutPlan } from './rollout.ts';

/** The facts of a generation that a read needs. */
export interface GenerationLayer {
  readonly id: string;
  /** The generation's number, as people see it. */
  readonly number: number;
  readonly buckets: number;
  /** The base of its predictions' times, in ms since 1970. */
  readonly startedAt: number;
  /**
   * Whether a watched source has changed in bulk since the generation's run began. If so, all its predictions are
   * stale.
   */
  readonly isOutdated: boolean;
}

/**
 * The generation that an arm serves. The generation of a budgeted run has rows of some users and names its base, a full
 * generation whose rows serve the other users. A user's layer is the generation if it has a row of the user, else the
 * base.
 */
export interface AssignedGeneration extends GenerationLayer {
  /** The base; null for a full generation. */
  readonly base: GenerationLayer | null;
}

/** Returns the layer with this id: the generation or its base; null if neither has this id. */
export function layerOf(generation: AssignedGeneration | null, id: string | null): GenerationLayer | null {
  if (generation === null || generation.id === id) return generation;
  return generation.base?.id === id ? generation.base : null;
}

/** The assignment of one arm: the model version and generation that the arm serves. */
export interface Assignment {
  readonly predictor: string;
  /** The arm's name; on the wire, `variant`. */
  readonly arm: string;
  readonly modelVersionId: string;
  readonly modelNumber: number;
  readonly generation: AssignedGeneration | null;
  /** The floor of overlay entries, which rises with each rollback and each bulk change of a watched source. */
  readonly overlayFloor: number;
  readonly revision: number;
  /** Time of the last rollback, from which the expiry of its generation is counted; ms since 1970. */
  readonly expiresFrom: number | null;
  /** Whether a watch of the predictor may have missed changes. If so, no stored prediction is fresh until it is repaired. */
  readonly isUnwatched?: boolean;
}

/** The arms of a predictor, and the rule that assigns users to them. */
export interface Assignments {
  readonly stable: Assignment;
  /** The active rollout, which adds arms beside the stable one; null if the stable arm serves every user. */
  readonly rollout: AssignedRollout | null;
  /** Returns the arm of a user. */
  of(userId: string): Assignment;
}

export interface AssignedRollout extends Omit<ServedRollout, 'overridden'> {
  readonly plan: RolloutPlan;
  /** The arms beside the stable one. The arm of a shadow has no users. */
  readonly arms: readonly Assignment[];
  /** Returns the user's bucket, 0 to 9,999. */
  bucketOf(userId: string): number;
  /** Returns the rollout facts that an answer for this user carries. */
  servedTo(userId: string): ServedRollout;
}

/** The rollout that an answer's arm belongs to. */
export interface ServedRollout {
  readonly id: string;
  readonly kind: RolloutKind;
  readonly step: number;
  /** Whether an override assigned the user: the answer is served, but not counted. */
  readonly overridden: boolean;
  /** The milliseconds above which the rollout's plan counts a read as slow; absent for a shadow. */
  readonly slowMs?: number;
}

/** Returns the assignments of a predictor without a rollout. */
export function everybodyIn(stable: Assignment): Assignments {
  return Object.freeze({ stable, rollout: null, of: () => stable });
}

export interface UserState {
  readonly version: number;
  /** The version of the last event that concerns the requested predictor. */
  readonly touched: number;
  readonly deletedVersion: number;
  /** The user's newest demanded entry of the requested predictor; absent if there is none. */
  readonly demanded?: DemandedEntry;
}

/**
 * An overlay entry that may replace a fresh prediction of the same context: a demanded answer, or an entry of a run of
 * named users. A process may remember the prediction that it replaces.
 */
export interface DemandedEntry {
  readonly modelVersionId: string;
  readonly overlayFloor: number;
  readonly contextVersion: number;
  /** Postgres' clock when its features were read, ms since 1970. */
  readonly computedAt: number;
}

export interface Certificate {
  readonly history: string;
  /** Postgres' clock, ms since 1970. */
  readonly now: number;
  /** The revision, which rises with every change of predictors and arms. */
  readonly revision: number;
  /** The number of withdrawals in this history: rollbacks, ended rollouts, adoptions that replace the served version. */
  readonly withdrawals: number;
  /** Returns the arms of a predictor; undefined if it was never adopted or is no longer served. */
  assignments(predictor: string): Assignments | undefined;
  /** Returns the state of a user. Throws for a predictor that was not requested. */
  user(userId: string, predictor: string): UserState;
  /** The tombstones known with this certificate or before; null if its statement does not carry them. */
  readonly tombstones: Tombstones | null;
}

/** A position in the sequence of assignments. Within one history, revisions rise in the order of the changes. */
export type AssignedMoment = Pick<Certificate, 'history' | 'revision'>;

/**
 * Returns whether an answer of a later position arrived before this answer. Statements on several connections can
 * overtake each other; the process keeps the facts of the later position. A lower revision alone proves nothing, since
 * a restore lowers revisions.
 * @param before the newest position known when the statement was sent
 * @param newest the newest known now; the same object if no answer changed it since
 */
export function isOvertaken(
  { history, revision }: AssignedMoment,
  before: AssignedMoment,
  newest: AssignedMoment,
): boolean {
  if (newest === before) return false;
  return history === newest.history ? revision < newest.revision : history === before.history;
}

/** The state of a user without a context row. */
export const UNTOUCHED: UserState = Object.freeze({ version: 0, touched: 0, deletedVersion: 0 });

export function isErased(user: Pick<UserState, 'version' | 'deletedVersion'>): boolean {
  return user.deletedVersion > 0 && user.version === user.deletedVersion;
}

/** Port: asks the primary for certificates. Rejects if the primary does not answer within a short time limit. */
export interface Authority {
  /** Returns a certificate. Without predictors it covers no user. */
  certify(userIds: readonly string[], ...predictors: readonly string[]): Promise<Certificate>;
}

// Tombstones known to a process, in memory. They exclude erased users while Postgres, which alone knows all of them,
// does not answer. Their count shows whether one is missing. Each takes about 70 bytes. At the limit no more are added:
// the count then falls behind, and no read is served unverified.

/** A number of erasures, or of withdrawals, in one history. */
export interface HistoryCount {
  readonly history: string;
  readonly count: number;
}

/** A count that the online store has received, and the identity of that server. */
export interface ToldCount extends HistoryCount {
  readonly serverId: string;
}

/** The tombstones that a process knows: all those of one history up to a count. */
export interface Tombstones {
  readonly history: string;
  readonly count: number;
  /** Returns the version up to which predictions of a user may not be served; 0 if no erasure of the user is known. */
  deletedVersion(userId: string): number;
}

/** An erasure: its number, the user, and the version up to which predictions are erased. */
export type NumberedTombstone = readonly [number: number, userId: string, deletedVersion: number];

export interface TombstoneMemory extends Tombstones {
  readonly isFull: boolean;
  /**
   * @param found all erasures after the known ones, up to `count`; another certificate may have added some of them
   * meanwhile
   */
  learn(found: readonly NumberedTombstone[], count: number): void;
  /** Returns this memory if its history matches, else an empty memory for the given history. */
  inHistory(history: string): TombstoneMemory;
}

interface TombstoneRoom {
  /** The maximum number of users. */
  readonly most?: number;
  /** Called once with the count when the memory is full: later erasures will not be known. */
  readonly onFull?: ((count: number) => void) | undefined;
}

const MAX_TOMBSTONES = 500_000;

export function createTombstoneMemory(history: string, room: TombstoneRoom = {}): TombstoneMemory {
  const { most = MAX_TOMBSTONES, onFull } = room;
  const versions = new Map<string, number>();
  let count = 0;
  const memory: TombstoneMemory = {
    history,
    get count() {
      return count;
    },
    get isFull() {
      return versions.size >= most;
    },
    deletedVersion: (userId) => versions.get(userId) ?? 0,
    learn(found, upTo) {
      const wasFull = memory.isFull;
      for (const [, userId, deletedVersion] of found) {
        if (deletedVersion > (versions.get(userId) ?? 0)) versions.set(userId, deletedVersion);
      }
      count = Math.max(count, upTo);
      if (memory.isFull && !wasFull) onFull?.(count);
    },
    inHistory: (other) => (other === history ? memory : createTombstoneMemory(other, room)),
  };
  return memory;
}
