/**
 * The names of keys in Redis. They are the same in every process. Changing a name makes stored data unreachable, which
 * costs a reload but never causes a wrong answer.
 *
 *     tandem:g:<generation>:<bucket>          hash, field of a user → value (stored-value.ts); above a base also the
 *                                             empty field: whether the bucket is whole
 *     tandem:m:<generation>                   marker: whether the generation is loaded completely
 *     tandem:generations                      set of the generations that have keys, "generation:buckets"
 *     tandem:o:{<tag>}<field>:<predictor>     overlay entry of a user
 *     tandem:h:{<tag>}<field>                 version hint of a user
 *     tandem:r:{<tag>}<field>:<predictor>     exists while the re-scoring window of the user lasts
 *     tandem:history                          the last mark of the database's history that was seen
 *     tandem:{erasures}                       count of erasures received, "history.count"
 *     tandem:{erasures}:restoring             announcement of a process that will restore that count
 *     tandem:{withdrawals}, …:restoring       the same of withdrawals
 *
 * Keys that describe a whole server (marker, generations, history, counts) exist once for each primary of a cluster,
 * under a hash tag of that primary: tandem:m:<generation>:{<tag>}, tandem:generations:{<tag>}, tandem:history:{<tag>},
 * tandem:{<tag>}:erasures, tandem:{<tag>}:withdrawals. So each key is lost with the data of its server.
 *
 * A number of the freshness protocol above 1 is part of each key (`tandem:p2:g:…`). A release with a new number does
 * not find the keys that earlier releases write.
 *
 * Buckets have no hash tag, so a cluster spreads them. The keys of one user share a tag, and so do those of the count,
 * so that a script can use them together.
 */

import { hash } from 'node:crypto';
import { PROTOCOL } from '@tandem/freshness/protocol';
import type { Generation } from '@tandem/prediction/runs/generations';

/** Returns the first part of all keys of a release with this protocol number. Exported for its test. */
export function prefixOf(protocol: number): string {
  return protocol === 1 ? 'tandem' : `tandem:p${protocol}`;
}

/** The length of a digested id in base64url digits: 102 bits of SHA-256. */
const DIGEST_LENGTH = 17;

/** The parts of a user's keys in Redis. */
export interface UserKey {
  /** An unsigned 32-bit hash. It decides the bucket and the tag, and seeds the checksums of the user's values. */
  readonly hash: number;
  /** Identifies the user within a bucket. */
  readonly field: string;
}

export type Keys = ReturnType<typeof createKeys>;

export function userKeyOf(userId: string): UserKey {
  return { hash: hashOf(userId), field: fieldOf(userId) };
}

/**
 * Returns the hash of a user id: FNV-1a over UTF-16 units, then the finalizer of murmur3, since FNV alone gives similar
 * hashes to ids that differ in the last digit. The hash has no key. A client that chooses ids can crowd a bucket, which
 * makes it slower and larger, but not wrong.
 */
export function hashOf(userId: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < userId.length; i++) h = Math.imul(h ^ userId.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Returns the id itself if it is shorter than a digest, else its digest. All digests have 17 bytes and all other fields
 * are shorter, so that no id can be the field of another.
 */
export function fieldOf(userId: string): string {
  // A UTF-16 unit takes at least one byte, so long strings need not be measured.
  if (userId.length < DIGEST_LENGTH && Buffer.byteLength(userId) < DIGEST_LENGTH) return userId;
  return hash('sha256', userId, 'base64url').slice(0, DIGEST_LENGTH);
}

/** The field of a bucket that marks it as whole. No user has this field, since an id is never empty. */
export const WHOLE_FIELD = '';

/** The value of that field if the bucket has all its rows. */
export const IS_WHOLE = '1';

export function bucketOf(userHash: number, buckets: number): number {
  return userHash % buckets;
}

/** The counts that a server has received, on which unverified answers depend. */
export type Counted = 'erasures' | 'withdrawals';

/**
 * Creates the names of keys.
 * @param prefix the first part of every key, which separates services that share a Redis
 */
export function createKeys(prefix: string = prefixOf(PROTOCOL)) {
  const generations = `${prefix}:g:`;
  const markers = `${prefix}:m:`;
  const count = (of: Counted, tag = ''): string => `${prefix}:{${tag || of}}${tag === '' ? '' : `:${of}`}`;
  return {
    bucket: (generationId: string, bucket: number): string => `${generations}${generationId}:${bucket}`,
    /** Returns a bucket's key without its number. */
    bucketPrefix: (generationId: string): string => `${generations}${generationId}:`,
    /**
     * Returns the key of a marker.
     * @param tag the hash tag of the shard with this part of the generation; empty for a single server
     */
    marker: (generationId: string, tag = ''): string => `${markers}${generationId}${tag === '' ? '' : `:{${tag}}`}`,
    overlay: (user: UserKey, predictor: string): string => `${prefix}:o:${tagged(user)}:${predictor}`,
    hint: (user: UserKey): string => `${prefix}:h:${tagged(user)}`,
    refreshWindow: (user: UserKey, predictor: string): string => `${prefix}:r:${tagged(user)}:${predictor}`,
    historyMark: (tag = ''): string => `${prefix}:history${tag === '' ? '' : `:{${tag}}`}`,
    /** Returns the key of a count. Its hash tag is also that of the announcement. */
    count,
    restoring: (of: Counted, tag = ''): string => `${count(of, tag)}:restoring`,
    /** Returns the key of the set of generations that have keys on the tag's shard. */
    generations: (tag = ''): string => `${prefix}:generations${tag === '' ? '' : `:{${tag}}`}`,
    /** Returns the SCAN pattern for the buckets and markers of all generations. */
    generationPattern: `${escapeGlob(prefix)}:[gm]:*`,
    /** Returns the generation that a key belongs to; null if it belongs to none. */
    generationOf(key: string): string | null {
      if (key.startsWith(markers)) return key.slice(markers.length).split(':', 1)[0] ?? '';
      if (!key.startsWith(generations)) return null;
      const end = key.lastIndexOf(':');
      return end > generations.length ? key.slice(generations.length, end) : null;
    },
  };
}

/** Returns the name of a generation in the set of generations that have keys. */
export function generationName({ id, buckets }: GenerationName): string {
  return `${id}:${buckets}`;
}

export function parseGenerationName(name: string): GenerationName | undefined {
  const [, id, buckets] = /^(.+):([1-9][0-9]{0,9})$/.exec(name) ?? [];
  return id === undefined ? undefined : { id, buckets: Number(buckets) };
}

type GenerationName = Pick<Generation, 'id' | 'buckets'>;

function tagged(user: UserKey): string {
  return `{${base36(user.hash)}}${user.field}`;
}

const DIGITS = 36;
const PAIR = DIGITS * DIGITS;
/** The two base-36 digits of each number below 36². */
const PAIRS = Array.from({ length: PAIR }, (_, n) => n.toString(DIGITS).padStart(2, '0'));

/** Returns `hash.toString(36)` for 32 bits, in a tenth of the time. */
function base36(hash: number): string {
  let digits = '';
  let rest = hash;
  for (; rest >= PAIR; rest = Math.floor(rest / PAIR)) digits = (PAIRS[rest % PAIR] as string) + digits;
  return (rest >= DIGITS ? (PAIRS[rest] as string) : rest.toString(DIGITS)) + digits;
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
