/**
 * What Postgres, the only authority on freshness, says at one moment: who is assigned what, and each user's context
 * version. A read may believe only a certificate whose statement began after the read arrived.
 */
import type { RolloutKind, RolloutPlan } from './rollout.ts';

/** A generation as far as a read looks at it. */
export interface GenerationLayer {
  readonly id: string;
  /** For people. */
  readonly number: number;
  readonly buckets: number;
  /** The base of its predictions' times, ms since 1970. */
  readonly startedAt: number;
  /** Whether a watched source has changed in bulk since its run began: then all its predictions are stale. */
  readonly isOutdated: boolean;
}

/**
 * The generation that an arm points at. That of a budgeted run holds some users, and names the generation of everyone whose
 * rows still count for the others: its base. A user's layer is the generation if that has a row of the user, else the base.
 */
export interface AssignedGeneration extends GenerationLayer {
  /** Null of a generation of everyone. */
  readonly base: GenerationLayer | null;
}

/** Returns the layer of an assigned generation that has this id; null where neither has. */
export function layerOf(generation: AssignedGeneration | null, id: string | null): GenerationLayer | null {
  if (generation === null || generation.id === id) return generation;
  return generation.base?.id === id ? generation.base : null;
}

/** Who is served what: one arm of a predictor. */
export interface Assignment {
  readonly predictor: string;
  /** The wire's `variant`. */
  readonly arm: string;
  readonly modelVersionId: string;
  readonly modelNumber: number;
  readonly generation: AssignedGeneration | null;
  /** Raised by a rollback, and by each bulk change of a watched source. */
  readonly overlayFloor: number;
  readonly revision: number;
  /** Set by a rollback: the moment from which the expiry of its generation is counted anew, ms since 1970. */
  readonly expiresFrom: number | null;
}

/** Who of a predictor is served what: its arms, and what users are put into them by. */
export interface Assignments {
  readonly stable: Assignment;
  /** What moves other arms beside the stable one; null: everybody is served from the stable one. */
  readonly rollout: AssignedRollout | null;
  /** The arm of a user. */
  of(userId: string): Assignment;
}

export interface AssignedRollout extends Omit<ServedRollout, 'overridden'> {
  readonly plan: RolloutPlan;
  /** Beside the stable one; a shadow's has no users. */
  readonly arms: readonly Assignment[];
  /** The user's place in it, 0 to 9,999. */
  bucketOf(userId: string): number;
  /** What an answer of this user says of it. */
  servedTo(userId: string): ServedRollout;
}

/** The rollout that an answer's arm is of. */
export interface ServedRollout {
  readonly id: string;
  readonly kind: RolloutKind;
  readonly step: number;
  /** Whether the user was put into the arm by hand: served, and not counted. */
  readonly overridden: boolean;
  /** The milliseconds above which its plan calls a read slow; absent of a shadow. */
  readonly slowMs?: number;
}

/** Of a predictor without a rollout. */
export function everybodyIn(stable: Assignment): Assignments {
  return Object.freeze({ stable, rollout: null, of: () => stable });
}

export interface UserState {
  readonly version: number;
  /** The last version that concerns the predictor asked for. */
  readonly touched: number;
  readonly deletedVersion: number;
}

export interface Certificate {
  readonly history: string;
  /** Postgres' clock, ms since 1970. */
  readonly now: number;
  /** Raised by every change of predictors and arms. */
  readonly revision: number;
  /** Undefined for a predictor that was never adopted, or is not served any more. */
  assignments(predictor: string): Assignments | undefined;
  /** Throws for a predictor that it was not asked about. */
  user(userId: string, predictor: string): UserState;
  /** What has been heard of erasures with it or before; null where its statement does not tell. */
  readonly tombstones: Tombstones | null;
}

/** A moment of what is assigned: within one history, revisions follow the order of the changes. */
export type AssignedMoment = Pick<Certificate, 'history' | 'revision'>;

/**
 * Tells whether an answer of a later moment came before this one: statements on several connections overtake each other, and
 * what is kept of the later one stays. A lower revision alone does not tell it: a restore sets revisions back.
 * @param before the newest moment known when the statement was sent
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

/** Port: asks the primary. Rejects where it does not answer in its short time. */
export interface Authority {
  /** Without predictors the certificate tells of no user. */
  certify(userIds: readonly string[], ...predictors: readonly string[]): Promise<Certificate>;
}

// The tombstones that a process has heard of, in memory: what keeps an erased user out of an answer while Postgres, which
// alone knows all of them, does not answer. They are counted, so that it is known whether one is missing.
// Some 70 bytes each. Beyond the bound no more are taken: the count then stays behind, and nothing is served unverified.

/** How many erasures there were, in one history. */
export interface ErasureCount {
  readonly history: string;
  readonly count: number;
}

/** What the online store was told of erasures, and which server it is. */
export interface ToldOfErasures extends ErasureCount {
  readonly serverId: string;
}

/** What a process has heard of erasures: every one up to a count, in one history. */
export interface Tombstones {
  readonly history: string;
  readonly count: number;
  /** The version up to which nothing of a user may be served; 0: no erasure was heard of. */
  deletedVersion(userId: string): number;
}

/** An erasure by its number. */
export type NumberedTombstone = readonly [number: number, userId: string, deletedVersion: number];

export interface TombstoneMemory extends Tombstones {
  readonly isFull: boolean;
  /** @param found all erasures there are from those known up to `count`, whoever has told of some of them meanwhile */
  learn(found: readonly NumberedTombstone[], count: number): void;
  /** Itself, or one of another history, in which nothing was heard of. */
  inHistory(history: string): TombstoneMemory;
}

interface TombstoneRoom {
  /** Users. */
  readonly most?: number;
  /** Told once, with the count: of any later erasure nothing will be known. */
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
