/**
 * Which users a rollout serves from which arm: a hash of salt and user, the same in every process, today and tomorrow. A
 * user keeps the bucket for as long as the rollout lasts, so that an arm which grows from its lower end keeps everybody
 * it has.
 */
import { murmur3 } from './murmur3.ts';

/** A bucket is a ten-thousandth of the users: a hundredth of a percent. */
export const BUCKETS = 10_000;

/** 0 to 9,999. */
export function bucketOfUser(salt: string, userId: string): number {
  // A salt has no line break, so that no salt and user together are those of another pair.
  return Math.floor((murmur3(`${salt}\n${userId}`) / 2 ** 32) * BUCKETS);
}

/** The users of an arm: those whose bucket is in [firstBucket, endBucket). */
export interface ArmInterval {
  readonly firstBucket: number;
  readonly endBucket: number;
}

/** The arm of a bucket among arms whose intervals do not meet; undefined: none has it. */
export function armOfBucket<T extends ArmInterval>(arms: readonly T[], bucket: number): T | undefined {
  return arms.find(({ firstBucket, endBucket }) => firstBucket <= bucket && bucket < endBucket);
}
