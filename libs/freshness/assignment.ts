/**
 * Assigns users to the arms of a rollout by a hash of salt and user id, which is the same in every process. A user
 * keeps its bucket for the whole rollout, so an arm that grows at its upper end keeps its users.
 */

/** The number of buckets. Each has a hundredth of a percent of the users. */
export const BUCKETS = 10_000;

/** Returns the bucket of a user, from 0 to 9,999. */
export function bucketOfUser(salt: string, userId: string): number {
  // A salt has no line break, so two different pairs of salt and user never give the same text.
  return Math.floor((murmur3(`${salt}\n${userId}`) / 2 ** 32) * BUCKETS);
}

/** The users of an arm: those with a bucket in [firstBucket, endBucket). */
export interface ArmInterval {
  readonly firstBucket: number;
  readonly endBucket: number;
}

/** Returns the arm of a bucket among arms with disjoint intervals; undefined if no arm has it. */
export function armOfBucket<T extends ArmInterval>(arms: readonly T[], bucket: number): T | undefined {
  return arms.find(({ firstBucket, endBucket }) => firstBucket <= bucket && bucket < endBucket);
}

/**
 * The constants of MurmurHash3, 32 bits for x86, by Austin Appleby (public domain). It is fast, and spreads similar
 * texts well.
 */
const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/** Returns the unsigned hash of a text's UTF-8 bytes. */
export function murmur3(text: string, seed = 0): number {
  const bytes = utf8.encode(text);
  const whole = bytes.length - (bytes.length % 4);
  let h = seed;
  for (let i = 0; i < whole; i += 4) {
    const block =
      byteAt(bytes, i) | (byteAt(bytes, i + 1) << 8) | (byteAt(bytes, i + 2) << 16) | (byteAt(bytes, i + 3) << 24);
    h = Math.imul(rotated(h ^ mixed(block), 13), 5) + 0xe6546b64;
  }
  let rest = 0;
  for (let i = bytes.length - 1; i >= whole; i--) rest = (rest << 8) | byteAt(bytes, i);
  if (whole < bytes.length) h ^= mixed(rest);
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const utf8 = new TextEncoder();

function byteAt(bytes: Uint8Array, i: number): number {
  return bytes[i] ?? 0;
}

function mixed(block: number): number {
  return Math.imul(rotated(Math.imul(block, C1), 15), C2);
}

function rotated(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
