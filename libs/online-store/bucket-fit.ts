/**
 * Whether a generation's buckets stay in Redis' compact form (a listpack), which is what makes a user cost tens of
 * bytes. Buckets whose size varies like a Poisson number pass the limit practically never while their mean is below
 * half.
 *
 * A value longer than the server's limit makes Redis keep that bucket as a hash table instead: the same addresses and
 * commands, and about 100 bytes a user beside the value instead of 15. That is the layout of wide outputs: measured for
 * a vector of 100 floats 513 bytes a user, where a key a user takes 570; and readers need not know which it is.
 */
import type { Generation } from '@tandem/prediction/runs/generations';
import { type OnlineConnection, type OnlineLog, unavailable } from './connection.ts';
import { createKeys } from './keys.ts';
import { command } from './pipelined-commands.ts';

interface BucketFit {
  readonly meanUsers: number;
  /** The server's limit; null if it does not report it (managed servers forbid CONFIG): then 128 is assumed. */
  readonly maxEntries: number | null;
  readonly maxValueBytes: number | null;
  readonly layout: 'listpack' | 'hash table';
}

export interface BucketFitDependencies {
  readonly connection: OnlineConnection;
  readonly log: OnlineLog;
  readonly prefix?: string;
}

/** The least limits that any Redis or Valkey comes with. */
const ASSUMED_ENTRIES = 128;
const ASSUMED_VALUE_BYTES = 64;

/** Values that are sampled: the outputs of a model have one length, or are texts of similar length. */
const VALUES_SAMPLED = 32;

/**
 * Reads the server's limits and some values of a generation that is loaded, and logs a warning where its buckets do not
 * fit. Rejects `unavailable` if Redis does not answer.
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
  // Of one server for all of a cluster. Before Redis 7 the names say ziplist.
  const [first] = connection.layout().shards;
  if (!first) throw unavailable('it is not connected');
  const [entries, value] = await first.server.send([
    command('config', ['get', 'hash-max-*list*-entries']),
    command('config', ['get', 'hash-max-*list*-value']),
  ]);
  return { maxEntries: firstNumber(entries), maxValueBytes: firstNumber(value) };
}

/** Returns the longest of a bucket's values; 0 if it has none, or the server cannot pick any (before Redis 6.2). */
async function longestValue(connection: OnlineConnection, bucket: string): Promise<number> {
  const [reply] = await connection.send([command('hrandfield', [bucket, String(VALUES_SAMPLED), 'WITHVALUES'])]);
  if (!Array.isArray(reply)) return 0;
  // Fields and values in turn.
  return Math.max(
    0,
    ...reply.filter((_, i) => i % 2 === 1).map((value) => (Buffer.isBuffer(value) ? value.length : 0)),
  );
}

/** The number in a reply of CONFIG GET: names and values in turn, or null if it was refused. */
function firstNumber(reply: unknown): number | null {
  if (!Array.isArray(reply)) return null;
  const number = Number(String(reply[1] ?? ''));
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}
