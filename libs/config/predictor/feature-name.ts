/** Names that a feature may have. */

/** Postgres cuts a longer one off, without an error. */
const MAX_BYTES = 63;
const KEY = 'user_id';

/** Whether a feature's column can have this name: it is not the key's name, and Postgres keeps it unchanged. */
export function canNameFeature(name: string): boolean {
  return name !== '' && name !== KEY && Buffer.byteLength(name) <= MAX_BYTES;
}
