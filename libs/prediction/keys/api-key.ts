/**
 * API keys: their text, their scopes and their stored form.
 *
 * A key reads `tandem_live_<id>_<secret>_<checksum>`. After the first two words it is lower-case hex: 16 digits of id,
 * 64 of secret (32 random bytes), and 8 of checksum, which detects a mistyped or truncated key without a lookup.
 * Scanners for leaked secrets look for `tandem_(live|test)_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}`.
 *
 * The database stores an HMAC-SHA256 of the whole text under a pepper that it does not hold. So a copy of the table
 * cannot be used for calls, and keys cannot be added to it. A secret of 256 random bits needs no slow hash.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';

/** Scopes that a route may require. Each is required by at least one route. */
export const SCOPES = Object.freeze([
  'predictions:read',
  'users:read',
  'users:erase',
  'events:write',
  'outcomes:write',
  'runs:read',
  'runs:write',
  'models:read',
  'models:write',
  'models:infer',
  'rollouts:admin',
] as const);

export type Scope = (typeof SCOPES)[number];

/**
 * The kind of a key, which its text shows. The service treats both kinds alike; people and scanners distinguish them.
 */
export type KeyKind = 'live' | 'test';

/** Returns random bytes, like node:crypto's `randomBytes`. */
type RandomBytes = (size: number) => Buffer;

export const KEY_FORM = /^tandem_(?:live|test)_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}$/;

const ID_BYTES = 8;
const SECRET_BYTES = 32;
const CHECKSUM_DIGITS = 8;
/** Both kinds have four letters, so the id is always at the same place. */
const ID_START = 'tandem_live_'.length;
const ID_END = ID_START + 2 * ID_BYTES;

/** Returns the characters at the position of the id, for any text. */
export function placeOfId(text: string): string {
  return text.slice(ID_START, ID_END);
}

export function newKeyId(random: RandomBytes = randomBytes): string {
  return random(ID_BYTES).toString('hex');
}

/** Returns a key's text with a new secret. The text is shown once: it cannot be derived from the stored form. */
export function writeKey(kind: KeyKind, id: string, random: RandomBytes = randomBytes): string {
  const start = `tandem_${kind}_${id}_${random(SECRET_BYTES).toString('hex')}`;
  return `${start}_${checksumOf(start)}`;
}

/** Returns the id in a key's text; undefined if the text is not a key, or was truncated or mistyped. */
export function keyIdOf(text: string): string | undefined {
  if (!KEY_FORM.test(text)) return undefined;
  const end = text.length - CHECKSUM_DIGITS - 1;
  return checksumOf(text.slice(0, end)) === text.slice(end + 1) ? placeOfId(text) : undefined;
}

/** Returns the stored digest of a key: 32 bytes. */
export function digestOf(text: string, pepper: string): Buffer {
  return createHmac('sha256', pepper).update(text).digest();
}

/** Returns an id of a pepper that does not reveal it, so that keys of another pepper can be named. */
export function pepperId(pepper: string): string {
  return createHmac('sha256', pepper).update('tandem pepper').digest('hex').slice(0, 8);
}

function checksumOf(start: string): string {
  return createHash('sha256').update(start).digest('hex').slice(0, CHECKSUM_DIGITS);
}
