/**
 * All API keys, in the memory of a process: a request with a key, known or unknown, costs no statement, and unknown
 * keys are not remembered. Each load replaces the whole set. Expiry is judged by the database's clock, continued from
 * the last load.
 *
 * An accepted text is kept beside its digest and compared in constant time, which spares the client's next requests the
 * HMAC. A rejection costs a form check, one HMAC and comparisons of 32 bytes, whether the key is unknown, wrong,
 * revoked or expired.
 */
import { timingSafeEqual } from 'node:crypto';
import { digestOf, keyIdOf, placeOfId, type Scope } from './api-key.ts';
import { type Clock, TokenBucket } from './token-bucket.ts';

/** A secret of a key, as stored. */
interface StoredSecret {
  readonly digest: Buffer;
  /** Milliseconds since 1970 on the database's clock; null: as long as the key. */
  readonly until: number | null;
}

/** A key as stored. Moments in ms since 1970 on the database's clock. */
export interface StoredKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The one in use, and the one before it while that is still accepted. */
  readonly secrets: readonly StoredSecret[];
  readonly pepperId: string;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** Null: no limit. */
  readonly requestsPerSecond: number | null;
  /** Users inferred live; null: no limit. */
  readonly livePerSecond: number | null;
}

/** All keys at a moment. */
export interface KeySnapshot {
  /** Changes whenever a key does. */
  readonly version: string;
  /** The database's clock, ms. */
  readonly now: number;
  /** Null: as in the snapshot of the version that the asker named. */
  readonly keys: readonly StoredKey[] | null;
}

interface HeldSecret extends StoredSecret {
  /** The text of this digest, once a client has sent it. */
  accepted: Buffer | null;
}

/** A key in use. */
export interface HeldKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Undefined: no limit. */
  readonly requests: TokenBucket | undefined;
  /** Users inferred live; undefined: no limit. */
  readonly liveQuota: TokenBucket | undefined;
}

type WhyRefused = 'malformed' | 'unknown' | 'wrong secret' | 'rotated out' | 'revoked' | 'expired';

/** For the log only: callers never see it. */
export interface Refusal {
  readonly why: WhyRefused;
  /** The id, if the text names an existing key. */
  readonly id?: string;
}

interface Held extends HeldKey {
  readonly secrets: readonly HeldSecret[];
  readonly expiresAt: number;
  readonly isRevoked: boolean;
}

interface KeyRingOptions {
  readonly pepper: string;
  readonly clock?: Clock;
  /** Milliseconds after the last load for which keys stay valid. */
  readonly believedForMs: number;
}

const NOBODYS_DIGEST = Buffer.alloc(32);
const NO_SECRETS: readonly HeldSecret[] = [];

export class KeyRing {
  readonly #pepper: string;
  readonly #clock: Clock;
  readonly #believedForMs: number;
  #keys: ReadonlyMap<string, Held> = new Map();
  #version = '';
  #loadedAt = Number.NEGATIVE_INFINITY;
  /** The database's clock minus ours. */
  #ahead = 0;
  /** Longer than any key: a text that does not fit is none. */
  readonly #presented = Buffer.alloc(256);

  constructor({ pepper, clock = () => performance.now(), believedForMs }: KeyRingOptions) {
    this.#pepper = pepper;
    this.#clock = clock;
    this.#believedForMs = believedForMs;
  }

  /** The version of the keys in memory; '' before the first load. */
  get version(): string {
    return this.#version;
  }

  /** Whether the keys are known, and not from too long ago. */
  isBelieved(): boolean {
    return this.#clock() - this.#loadedAt <= this.#believedForMs;
  }

  /** @param askedAt on the ring's clock: the snapshot is of no earlier moment */
  load({ version, now, keys }: KeySnapshot, askedAt: number): void {
    this.#ahead = now - askedAt;
    this.#loadedAt = askedAt;
    if (keys === null) return;
    this.#keys = new Map(keys.map((key) => [key.id, this.#hold(key)]));
    this.#version = version;
  }

  /** The key whose text this is, or why it is none. */
  find(text: string): HeldKey | Refusal {
    return this.#findAccepted(text) ?? this.#verify(text);
  }

  /** The form was checked when the text was accepted, and every byte is compared. */
  #findAccepted(text: string): HeldKey | undefined {
    const held = this.#keys.get(placeOfId(text));
    if (!held || text.length > this.#presented.length) return undefined;
    for (const secret of held.secrets) {
      const { accepted } = secret;
      if (accepted?.length !== text.length) continue;
      const presented = this.#presented.subarray(0, this.#presented.write(text, 'latin1'));
      if (timingSafeEqual(presented, accepted) && this.#faultOf(held, secret) === undefined) return held;
    }
    return undefined;
  }

  #verify(text: string): HeldKey | Refusal {
    const id = keyIdOf(text);
    const held = this.#keys.get(id ?? '');
    const digest = digestOf(text, this.#pepper);
    const [newest, before] = held?.secrets ?? NO_SECRETS;
    const isNewest = timingSafeEqual(digest, newest?.digest ?? NOBODYS_DIGEST);
    const isBefore = timingSafeEqual(digest, before?.digest ?? NOBODYS_DIGEST);
    if (!held) return { why: id === undefined ? 'malformed' : 'unknown' };
    const secret = isNewest ? newest : isBefore ? before : undefined;
    const why = secret ? this.#faultOf(held, secret) : 'wrong secret';
    if (why !== undefined || !secret) return { why: why ?? 'wrong secret', id: held.id };
    secret.accepted = Buffer.from(text, 'latin1');
    return held;
  }

  #faultOf(key: Held, { until }: StoredSecret): WhyRefused | undefined {
    const now = this.#clock() + this.#ahead;
    if (key.isRevoked) return 'revoked';
    if (key.expiresAt <= now) return 'expired';
    return until !== null && until <= now ? 'rotated out' : undefined;
  }

  /** A key's spent limits, and the texts accepted for it, outlast a load. */
  #hold(key: StoredKey): Held {
    const known = this.#keys.get(key.id);
    return {
      id: key.id,
      name: key.name,
      scopes: new Set(key.scopes),
      secrets: key.secrets.map(({ digest, until }) => ({
        digest,
        until,
        accepted: known?.secrets.find((one) => one.digest.equals(digest))?.accepted ?? null,
      })),
      expiresAt: key.expiresAt ?? Number.POSITIVE_INFINITY,
      isRevoked: key.revokedAt !== null,
      requests: this.#bucket(key.requestsPerSecond, known?.requests),
      liveQuota: this.#bucket(key.livePerSecond, known?.liveQuota),
    };
  }

  #bucket(perSecond: number | null, known: TokenBucket | undefined): TokenBucket | undefined {
    if (perSecond === null) return undefined;
    return known?.perSecond === perSecond ? known : new TokenBucket(perSecond, this.#clock);
  }
}
