/** Leases on Postgres' clock: of chunks, and of the steps before and after them. */

/**
 * Returns a condition that is true where the lease in a column is over. A lease that ends later than any that is taken now
 * was taken under a clock that has been set back since: its worker, if it lives, has renewed it long before. The longest
 * lease is ten minutes (CHUNK_LEASE_MS): one just taken must not seem over where the clock is set back by a little.
 */
export function leaseOver(column: string): string {
  return `${column} not between clock_timestamp() and clock_timestamp() + interval '11 minutes'`;
}

/** Claims of one chunk or step in a row whose lease may run out: what kills its workers must not do so for ever. */
export const MAX_CLAIMS = 12;
