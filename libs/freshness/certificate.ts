/**
 * What Postgres, the only authority on freshness, says at one moment: who is assigned what, and each user's context
 * version. A read may believe only a certificate whose statement began after the read arrived.
 */

import type { RolloutKind, RolloutPlan } from './rollout.ts';
import type { Tombstones } from './tombstones.ts';

export interface AssignedGeneration {
  readonly id: string;
  /** For people. */
  readonly number: number;
  readonly buckets: number;
  /** The base of its predictions' times, ms since 1970. */
  readonly startedAt: number;
  /** Whether a watched source has changed in bulk since its run began: then all its predictions are stale. */
  readonly isOutdated: boolean;
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
  user(userId: string, predictor: string): UserState;
  /** What has been heard of erasures with it or before; null where its statement does not tell. */
  readonly tombstones: Tombstones | null;
}

/** The state of a user without a context row. */
export const UNTOUCHED: UserState = Object.freeze({ version: 0, touched: 0, deletedVersion: 0 });

export function isErased(user: Pick<UserState, 'version' | 'deletedVersion'>): boolean {
  return user.deletedVersion > 0 && user.version === user.deletedVersion;
}

/** Port: asks the primary. Rejects where it does not answer in its short time. */
export interface Authority {
  certify(userIds: readonly string[]): Promise<Certificate>;
}
