/** Names that a feature query gives its columns. */

/** Postgres cuts a longer one off, without an error. */
const MAX_BYTES = 63;
const KEY = 'user_id';

/** Whether a feature's column can have this name: it is not the key's, and stays as it is. */
export function canNameFeature(name: string): boolean {
  return name !== '' && name !== KEY && Buffer.byteLength(name) <= MAX_BYTES;
}

/** A name as SQL spells it after `as`, where every plain word is allowed; in quotes where it would be folded otherwise. */
export function aliasSql(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
