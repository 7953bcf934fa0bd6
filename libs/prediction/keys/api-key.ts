/**
 * API keys: how one is written, what it may do, and what is stored of it.
 *
 * A key reads `tandem_live_<id>_<secret>_<checksum>`, all of it in lower-case hex but for the first two words: 16 digits by
 * which it is found, 64 of secret (32 random bytes), and 8 that tell a mistyped or cut one from a wrong one without asking
 * anybody. `tandem_(live|test)_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}` is what scanners for leaked secrets look for.
 *
 * Stored is an HMAC-SHA256 of the whole text under a pepper that the database does not hold: who copies the table can
 * neither use a key nor make one up. A secret of 256 random bits needs no slow hash.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';

/** What a route may ask for. Each is needed by one route at least; a route that names none of them serves nobody. */
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

/** What a key is for, by its own text: nothing here treats them differently, people and scanners do. */
export type KeyKind = 'live' | 'test';

/** Random bytes, such as node:crypto's. */
type RandomBytes = (size: number) => Buffer;

export const KEY_FORM = /^tandem_(?:live|test)_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}$/;

const ID_BYTES = 8;
const SECRET_BYTES = 32;
const CHECKSUM_DIGITS = 8;
/** Both kinds are four letters: the id always stands at the same place. */
const ID_START = 'tandem_live_'.length;
const ID_END = ID_START + 2 * ID_BYTES;

/** What stands where an id does, whatever the text is. */
export function placeOfId(text: string): string {
  return text.slice(ID_START, ID_END);
}

export function newKeyId(random: RandomBytes = randomBytes): string {
  return random(ID_BYTES).toString('hex');
}

/** A key's text with a new secret. It is shown once: nobody can make it again from what is stored. */
export function writeKey(kind: KeyKind, id: string, random: RandomBytes = randomBytes): string {
  const start = `tandem_${kind}_${id}_${random(SECRET_BYTES).toString('hex')}`;
  return `${start}_${checksumOf(start)}`;
}

/** The id in a key's text; undefined where the text is none, or was cut or mistyped. */
export function keyIdOf(text: string): string | undefined {
  if (!KEY_FORM.test(text)) return undefined;
  const end = text.length - CHECKSUM_DIGITS - 1;
  return checksumOf(text.slice(0, end)) === text.slice(end + 1) ? placeOfId(text) : undefined;
}

/** What is stored of a key: 32 bytes. */
export function digestOf(text: string, pepper: string): Buffer {
  return createHmac('sha256', pepper).update(text).digest();
}

/** Tells peppers apart, and nothing of the pepper: keys made under another one can be named as such. */
export function pepperId(pepper: string): string {
  return createHmac('sha256', pepper).update('tandem pepper').digest('hex').slice(0, 8);
}

function checksumOf(start: string): string {
  return createHash('sha256').update(start).digest('hex').slice(0, CHECKSUM_DIGITS);
}
