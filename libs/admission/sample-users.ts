/** Samples real users that a predictor would serve. Its model is tried with them, and `check` shows them. */

import { type FeatureBatch, scorableRows } from '@tandem/freshness/features';
import { type ModelDefinition, type ModelVersion, modelVersionId } from '@tandem/freshness/predictor';
import { pickRows, SAMPLE_USERS } from '@tandem/inference/admission/trial-users';
import { readOnly } from '@tandem/offline-store/features/feature-session';
import { asRelation, KEY_SQL } from '@tandem/offline-store/features/feature-statement';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { type createPool, limitStatements, query } from '@tandem/offline-store/sql/database';
import { schemaState } from '@tandem/offline-store/sql/migrate';
import { namingUser } from './find-failing-user.ts';
import { isTooSlow } from './slow-statement.ts';

export type Pool = ReturnType<typeof createPool>;

export interface SampledUsers {
  /** The number of users whose features were read. */
  readonly read: number;
  /** Users that can be scored, spread over the keys, at most as many as a trial takes; undefined if there are none. */
  readonly scorable: FeatureBatch | undefined;
  /**
   * Users with neighbouring keys, read once as a run reads them and once as a live read does, in the same order;
   * undefined if there are none, or if they were not read in time.
   */
  readonly bothWays: BothWays | undefined;
  /** A user that cannot be scored, and why; null if all can be scored. */
  readonly fault: { readonly userId: string; readonly why: string } | null;
  /** The users that a slow query did not return in time; null if the query was fast enough. */
  readonly slow: SlowUsers | null;
}

interface BothWays {
  readonly live: FeatureBatch;
  readonly run: FeatureBatch;
}

export interface SlowUsers {
  /** What was not read, such as `user ids` or `the features of 8 users`. */
  readonly what: string;
  readonly ms: number;
  /** A user to read alone, to see the query's time; null if no user id was read. */
  readonly userId: string | null;
}

/** The number of users to read. A trial takes fewer, but some users may have nulls. */
const USERS_READ = 256;
/**
 * The number of users to read if reading more takes too long. A trial with few users shows more than one without users.
 */
const FEW_USERS = 8;
/** The number of users to read in both ways, about the size of a small chunk. */
const NEIGHBOURS = 32;

export interface SampleLimits {
  /**
   * Milliseconds to read keys. The first statement reads all keys, so that users are chosen from all of them. If it is
   * too slow, a second statement with the same limit reads any keys.
   */
  readonly keysMs?: number;
  /** Milliseconds to read the features of all sampled users in one statement. */
  readonly featuresMs?: number;
}

const KEYS_MS = 5_000;
const FEATURES_MS = 5_000;
const NO_USERS: SampledUsers = { read: 0, scorable: undefined, bothWays: undefined, fault: null, slow: null };

/**
 * Samples users over the pool of feature statements. Returns undefined if the schema does not exist yet, since its
 * tables give the labels of features. Rejects with `config_invalid` if the query fails, and with `unavailable` if the
 * database does not answer.
 */
export async function sampleUsers(
  pool: Pool,
  definition: ModelDefinition,
  { keysMs = KEYS_MS, featuresMs = FEATURES_MS }: SampleLimits = {},
): Promise<SampledUsers | undefined> {
  if ((await schemaState(pool)).state !== 'current') return undefined;
  const userIds = await someUsers(pool, definition, { most: USERS_READ, ms: keysMs });
  if (userIds === null) return { ...NO_USERS, slow: { what: 'user ids', ms: keysMs, userId: null } };
  const [first] = userIds;
  if (first === undefined) return NO_USERS;
  const version = { ...definition, id: modelVersionId(definition), number: 0 };
  const source = createFeatureSource(pool, { usersTimeoutMs: featuresMs });
  const read = await ifInTime(source.readUsers(version, userIds)).catch(async (error: unknown) => {
    throw await namingUser(pool, definition, userIds, error);
  });
  if (read !== null) {
    const bothWays = await ifInTime(readBothWays(pool, version, userIds[userIds.length >> 1] ?? first, featuresMs));
    return { ...describe(read.batch, userIds), bothWays: bothWays ?? undefined };
  }
  const few = spread(userIds, FEW_USERS);
  const readFew = few.length < userIds.length ? await ifInTime(source.readUsers(version, few)) : null;
  if (readFew !== null) return { ...describe(readFew.batch, few), bothWays: undefined };
  const what = `the features of ${few.length === 1 ? '1 user' : `${few.length} users`}`;
  return { ...NO_USERS, slow: { what, ms: featuresMs, userId: first } };
}

/**
 * Returns user ids in the order of keys; null if none were read in time.
 * @param where an SQL condition on `f.user_id`
 */
async function someUsers(
  pool: Pool,
  { query: { sql } }: Pick<ModelDefinition, 'query'>,
  {
    most,
    ms,
    where = 'f.user_id is not null',
  }: { readonly most: number; readonly ms: number; readonly where?: string },
): Promise<string[] | null> {
  const keys = (order: string) => `select distinct key from (
      select f.user_id as key from ${asRelation(sql)} where ${where} ${order} limit ${most}) k order by key`;
  // The first rows of a table are often its oldest, and similar. The order of a hash selects rows from everywhere, and
  // the same rows each time.
  const spread = await ifInTime(readKeys(pool, keys(`order by ${USER_HASH}`), ms));
  return spread ?? (await ifInTime(readKeys(pool, keys(''), ms)));
}

/** A hash of a user in SQL. Half of the users have a hash up to 0. */
const USER_HASH = 'hashtextextended(f.user_id::text, 0)';

/** Returns the keys of a select, within the given ms. */
function readKeys(pool: Pool, text: string, ms: number, values: readonly string[] = []): Promise<string[]> {
  return readOnly(pool, async (db) => {
    await limitStatements(db, ms);
    const rows = await query<{ key: string }>(db, { text: `select key::text as key from (${text}) o`, values });
    return rows.map(({ key }) => key);
  });
}

/** Reads a range of users, from the given user on, as a chunk of a run and as a live read do. */
async function readBothWays(
  pool: Pool,
  version: ModelVersion,
  from: string,
  ms: number,
): Promise<BothWays | undefined> {
  const text = `select f.user_id as key from ${asRelation(version.query.sql)}
    where f.user_id >= $1::${KEY_SQL[version.keyType]} order by key limit ${NEIGHBOURS + 1}`;
  const userIds = await readKeys(pool, text, ms, [from]);
  const source = createFeatureSource(pool, { usersTimeoutMs: ms, rangeTimeoutMs: ms });
  const run = await source
    .readRange(version, { from, to: userIds[NEIGHBOURS] ?? null })
    .catch(async (error: unknown) => {
      throw await namingUser(pool, version, userIds.slice(0, NEIGHBOURS), error);
    });
  const live = (await source.readUsers(version, userIds.slice(0, NEIGHBOURS))).batch;
  const rowsOf = (batch: FeatureBatch) => new Map(scorableRows(batch).map((row) => [batch.userIds[row] ?? '', row]));
  const [inRun, inLive] = [rowsOf(run), rowsOf(live)];
  const both = [...inLive.keys()].filter((userId) => inRun.has(userId));
  if (both.length === 0) return undefined;
  return {
    live: pickRows(
      live,
      both.map((userId) => inLive.get(userId) ?? 0),
    ),
    run: pickRows(
      run,
      both.map((userId) => inRun.get(userId) ?? 0),
    ),
  };
}

/** Returns the result of a statement; null if the statement was too slow. */
async function ifInTime<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (isTooSlow(error)) return null;
    throw error;
  }
}

/**
 * Describes the users that were read.
 * @param order user ids in the requested order, which a read by key does not keep
 */
function describe(batch: FeatureBatch, order: readonly string[]): Omit<SampledUsers, 'bothWays'> {
  const places = new Map(order.map((userId, i) => [userId, i]));
  const placeOf = (row: number) => places.get(batch.userIds[row] ?? '') ?? 0;
  const rows = spread(
    scorableRows(batch).sort((a, b) => placeOf(a) - placeOf(b)),
    SAMPLE_USERS,
  );
  const [[faulty, why] = []] = batch.faults;
  return {
    read: batch.userIds.length,
    scorable: rows.length === 0 ? undefined : pickRows(batch, rows),
    fault: faulty === undefined || why === undefined ? null : { userId: batch.userIds[faulty] ?? '', why },
    slow: null,
  };
}

/** Returns this many entries at equal distances, from the first to the last; all if there are fewer. */
function spread<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)] as T);
}

/**
 * Returns user ids of one half up to a limit, spread over the keys; null if they were not read in time. The hash splits
 * the users, so that an optimised build is measured on users that its calibration has not seen.
 */
export function usersOfHalf(
  pool: Pool,
  definition: Pick<ModelDefinition, 'query'>,
  half: 'calibration' | 'held out',
  most: number,
): Promise<readonly string[] | null> {
  const where = `f.user_id is not null and ${USER_HASH} ${half === 'calibration' ? '<= 0' : '> 0'}`;
  return someUsers(pool, definition, { most, ms: KEYS_MS, where });
}
