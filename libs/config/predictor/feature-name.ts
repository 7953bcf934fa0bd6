/** Checks the names of features. */

/** The longest name in bytes. Postgres truncates a longer name without an error. */
const MAX_BYTES = 63;
const KEY = 'user_id';

/**
 * Returns whether a feature's column can have this name: it is not the name of the key, and Postgres does not truncate
 * it.
 */
export function canNameFeature(name: string): boolean {
  return name !== '' && name !== KEY && Buffer.byteLength(name) <= MAX_BYTES;
}
