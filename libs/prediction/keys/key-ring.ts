/**
 * All API keys in the memory of a process. A request with a known or unknown key costs no statement, and unknown keys
 * are not remembered. Each load replaces the whole set. Expiry is judged by the database's clock, which is extrapolated
 * from the last load.
 *
 * An accepted text is kept with its digest and compared in constant time, so that the client's next requests need no
 * HMAC. A rejection costs a form check, one HMAC and comparisons of 32 bytes, whether the key is unknown, wrong,
 * revoked or expired.
 */
import { timingSafeEqual } from 'node:crypto';
import { digestOf, keyIdOf, placeOfId, type Scope } from './api-key.ts';
import { type Clock, TokenBucket } from './token-bucket.ts';

/** A secret of a key, as stored. */
interface StoredSecret {
  readonly digest: Buffer;
  /** The end of validity, in ms since 1970 on the database's clock; null: valid as long as the key. */
  readonly until: number | null;
}

/** A key as stored. Times are in ms since 1970 on the database's clock. */
export interface StoredKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The current secret, and the previous secret while it is still accepted. */
  readonly secrets: readonly StoredSecret[];
  readonly pepperId: string;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** The limit of requests a second; null if there is no limit. */
  readonly requestsPerSecond: number | null;
  /** The limit of users inferred live a second; null if there is no limit. */
  readonly livePerSecond: number | null;
}

/** All keys at one moment. */
export interface KeySnapshot {
  /** The version of the keys, which changes whenever any key changes. */
  readonly version: string;
  /** The database's clock in ms. */
  readonly now: number;
  /** The keys; null if they have not changed since the version that the caller named. */
  readonly keys: readonly StoredKey[] | null;
}

interface HeldSecret extends StoredSecret {
  /** The text with this digest, once a client has sent it. */
  accepted: Buffer | null;
}

/** A key in use. */
export interface HeldKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** The limit of requests; undefined if there is no limit. */
  readonly requests: TokenBucket | undefined;
  /** The limit of users inferred live; undefined if there is no limit. */
  readonly liveQuota: TokenBucket | undefined;
}

type WhyRefused = 'malformed' | 'unknown' | 'wrong secret' | 'rotated out' | 'revoked' | 'expired';

/** The reason why a key is rejected. For the log only: callers never see it. */
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
  /** How long keys stay valid after the last load, in ms. */
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
  /** The database's clock minus this process's clock. */
  #ahead = 0;
  /** A buffer longer than any key: a text that does not fit is not a key. */
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

  /** Returns whether the keys are loaded and the last load is recent enough. */
  isBelieved(): boolean {
    return this.#clock() - this.#loadedAt <= this.#believedForMs;
  }

  /**
   * Replaces the keys in memory if the snapshot has keys.
   * @param askedAt when the snapshot was requested, on the ring's clock; the snapshot is not older
   */
  load({ version, now, keys }: KeySnapshot, askedAt: number): void {
    this.#ahead = now - askedAt;
    this.#loadedAt = askedAt;
    if (keys === null) return;
    this.#keys = new Map(keys.map((key) => [key.id, this.#hold(key)]));
    this.#version = version;
  }

  /** Returns the key with this text, or why the text is rejected. */
  find(text: string): HeldKey | Refusal {
    return this.#findAccepted(text) ?? this.#verify(text);
  }

  /** Returns whether a secret's text was accepted before. The form was checked then, and every byte is compared now. */
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

  /** Returns a loaded key, with its spent limits and accepted texts from before the load. */
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
