/**
 * Checks whether a generation's buckets stay in Redis' compact form (a listpack), in which a user takes tens of bytes.
 * The sizes of buckets have a Poisson distribution. They practically never exceed the limit if their mean is below half
 * of it.
 *
 * If a value is longer than the server's limit, Redis stores the bucket as a hash table. Keys and commands are the
 * same, and a user takes about 100 bytes in addition to the value, instead of 15. Wide outputs have this layout: for a
 * vector of 100 floats, 513 bytes per user were measured, where a separate key per user takes 570. Readers need not
 * distinguish the two.
 */
import type { Generation } from '@tandem/prediction/runs/generations';
import { type OnlineConnection, type OnlineLog, type StoreDependencies, unavailable } from './connection.ts';
import { createKeys } from './keys.ts';
import { command } from './pipelined-commands.ts';

interface BucketFit {
  readonly meanUsers: number;
  /**
   * The server's limit; null if the server does not report it, as managed servers that forbid CONFIG. 128 is then
   * assumed.
   */
  readonly maxEntries: number | null;
  readonly maxValueBytes: number | null;
  readonly layout: 'listpack' | 'hash table';
}

export interface BucketFitDependencies extends StoreDependencies {
  readonly log: OnlineLog;
}

/** The lowest default limits of all releases of Redis and Valkey. */
const ASSUMED_ENTRIES = 128;
const ASSUMED_VALUE_BYTES = 64;

/** The number of sampled values. The outputs of a model have one length, or are texts of similar length. */
const VALUES_SAMPLED = 32;

/**
 * Reads the server's limits and some values of a loaded generation, and logs a warning if its buckets do not fit.
 * Rejects with `unavailable` if Redis does not answer.
 */
export async function checkBuckets(
  { connection, log, prefix }: BucketFitDependencies,
  generation: Pick<Generation, 'id' | 'buckets' | 'users'>,
): Promise<BucketFit> {
  const limits = await readLimits(connection);
  const valueBytes = await longestValue(connection, createKeys(prefix).bucket(generation.id, 0));
  const meanUsers = generation.users / generation.buckets;
  const entries = limits.maxEntries ?? ASSUMED_ENTRIES;
  const isWide = valueBytes > (limits.maxValueBytes ?? ASSUMED_VALUE_BYTES);
  const isCrowded = meanUsers > entries / 2;
  if (isCrowded && !isWide) {
    log('online_store.buckets_crowded', {
      generationId: generation.id,
      meanUsers: Math.round(meanUsers),
      maxEntries: entries,
      remedy: `raise hash-max-listpack-entries to ${Math.ceil(meanUsers * 2)}, or use more buckets from the next run on`,
    });
  }
  return { meanUsers, ...limits, layout: isWide || meanUsers > entries ? 'hash table' : 'listpack' };
}

async function readLimits(connection: OnlineConnection): Promise<Pick<BucketFit, 'maxEntries' | 'maxValueBytes'>> {
  // In a cluster, the limits of one server are used for all. Before Redis 7, the names contain ziplist.
  const [first] = connection.layout().shards;
  if (!first) throw unavailable('it is not connected');
  const [entries, value] = await first.server.send([
    command('config', ['get', 'hash-max-*list*-entries']),
    command('config', ['get', 'hash-max-*list*-value']),
  ]);
  return { maxEntries: firstNumber(entries), maxValueBytes: firstNumber(value) };
}

/**
 * Returns the length of the longest sampled value of a bucket; 0 if there is none, or if the server cannot sample
 * (before Redis 6.2).
 */
async function longestValue(connection: OnlineConnection, bucket: string): Promise<number> {
  const [reply] = await connection.send([command('hrandfield', [bucket, String(VALUES_SAMPLED), 'WITHVALUES'])]);
  if (!Array.isArray(reply)) return 0;
  // Fields and values alternate.
  return Math.max(
    0,
    ...reply.filter((_, i) => i % 2 === 1).map((value) => (Buffer.isBuffer(value) ? value.length : 0)),
  );
}

/**
 * Returns the number in a reply of CONFIG GET, in which names and values alternate; null if the command was refused.
 */
function firstNumber(reply: unknown): number | null {
  if (!Array.isArray(reply)) return null;
  const number = Number(String(reply[1] ?? ''));
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}
