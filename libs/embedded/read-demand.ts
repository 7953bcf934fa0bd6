/**
 * Converts the demands of a caller on an embedded read, which follow HTTP's Cache-Control, to options of the reader.
 */
import { invalidInput } from '@tandem/freshness/errors';
import { PLAIN_READ, type ReadOptions, type RequestFeatures } from '@tandem/freshness/read-options';
import { parseContextToken } from '@tandem/prediction/events/events';
import type { FeaturesOfUsers } from './read-users.ts';

/** Demands on a read of one user. All are optional, and ages are in seconds. */
export interface ReadDemand extends RankDemand {
  /**
   * Values of the predictor's request features. With them, the user is inferred for this call, and nothing is stored.
   */
  readonly features?: RequestFeatures;
}

/** Demands on a ranking. */
export interface RankDemand extends ManyDemand {
  /**
   * The `contextToken` of an event's acknowledgement. Accepts only a prediction computed from that context or a newer
   * one.
   */
  readonly minContext?: string;
}

/** Demands on a read of several users. */
export interface ManyDemand {
  /** Infers now, even if a fresh prediction is stored. */
  readonly noCache?: boolean;
  /** Never infers. Fails with `not_cached` if an inference would be needed. */
  readonly onlyIfCached?: boolean;
  /** Seconds: rejects a stored prediction that is older. */
  readonly maxAge?: number;
  /** Seconds: also accepts a stored prediction that has been stale for at most this time; `Infinity` accepts any. */
  readonly maxStale?: number;
}

/** A user with the values of the predictor's request features. */
export interface UserWithFeatures {
  readonly userId: string;
  readonly features: RequestFeatures;
}

export const OF_MANY = [
  'noCache',
  'onlyIfCached',
  'maxAge',
  'maxStale',
] as const satisfies readonly (keyof ManyDemand)[];
export const OF_RANKING = [...OF_MANY, 'minContext'] as const satisfies readonly (keyof RankDemand)[];
export const OF_ONE = [...OF_RANKING, 'features'] as const satisfies readonly (keyof ReadDemand)[];

/**
 * Returns the demands of a caller as options of the reader. Throws `invalid_input`, naming the option.
 * @param names the options of this read
 */
export function optionsOf(demand: ReadDemand | undefined, names: readonly string[]): ReadOptions {
  if (demand === undefined) return PLAIN_READ;
  const unknown = Object.keys(demand).find((name) => !names.includes(name));
  if (unknown === 'minContext')
    throw invalidInput(unknown, 'is the token of a single user', 'read this user with read()');
  if (unknown !== undefined) throw invalidInput(unknown, 'is not an option of this read', `use ${names.join(', ')}`);
  const { minContext } = demand;
  const options = {
    noCache: flag('noCache', demand.noCache),
    onlyIfCached: flag('onlyIfCached', demand.onlyIfCached),
    maxAge: seconds('maxAge', demand.maxAge, false),
    maxStale: seconds('maxStale', demand.maxStale, true),
    minContext: minContext === undefined ? null : tokenOf(minContext),
  };
  if (options.noCache && options.onlyIfCached) {
    throw invalidInput('noCache', 'contradicts onlyIfCached', 'leave out one of the two');
  }
  return options;
}

const ONE_USER = 'demand';

/** Returns the request features of a read of one user; undefined if it has none. Throws `invalid_input`. */
export function requestOfOne(demand: ReadDemand | undefined): FeaturesOfUsers | undefined {
  const features = demand?.features;
  return features && { features: [copyOf(features, 'features')], entryOf: () => ONE_USER };
}

interface AskedMany {
  readonly userIds: readonly string[];
  fieldOf(i: number): string;
  readonly request?: FeaturesOfUsers;
}

/**
 * Returns a copy of the users of a call, which are all ids, or all with features. Without the copy, ids that the caller
 * adds to its array during the read would be answered without a certificate. Throws `invalid_input`.
 */
export function usersOf(users: readonly string[] | readonly UserWithFeatures[]): AskedMany {
  if (!hasFeatures(users)) return { userIds: [...users], fieldOf: (i) => `userIds[${i}]` };
  const entryOf = (i: number) => `users[${i}]`;
  const features = users.map((user, i) => {
    if (typeof user !== 'object' || user === null)
      throw invalidInput(entryOf(i), 'has no features', 'give each user the features, or none of them');
    const unknown = Object.keys(user).find((name) => name !== 'userId' && name !== 'features');
    if (unknown !== undefined) throw invalidInput(`${entryOf(i)}.${unknown}`, 'is not known', 'leave it out');
    return copyOf(user.features, `${entryOf(i)}.features`);
  });
  const userIds = users.map(({ userId }) => userId);
  return { userIds, fieldOf: (i) => `${entryOf(i)}.userId`, request: { features, entryOf } };
}

function hasFeatures(users: readonly string[] | readonly UserWithFeatures[]): users is readonly UserWithFeatures[] {
  return typeof users[0] === 'object';
}

/**
 * Returns a copy of a row's features, since the caller may change its object during the call. Throws `invalid_input` if
 * they are not an object.
 */
export function copyOf<F extends object>(features: F | undefined, field: string): F {
  if (typeof features === 'object' && features !== null && !Array.isArray(features)) return { ...features };
  throw invalidInput(field, 'is not an object', 'give a value for each feature, by name');
}

function flag(name: string, value: unknown = false): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidInput(name, 'is neither true nor false', 'give a boolean');
}

function seconds(name: string, value: unknown, isUnbounded: boolean): number | null {
  if (value === undefined) return null;
  if (typeof value === 'number' && value >= 0 && (isUnbounded || Number.isFinite(value))) return value;
  throw invalidInput(name, 'is not a number of seconds', 'give a number that is 0 or more');
}

function tokenOf(token: unknown) {
  const parsed = typeof token === 'string' ? parseContextToken(token) : null;
  if (parsed) return parsed;
  throw invalidInput('minContext', 'is not a context token', "give the contextToken of an event's acknowledgement");
}
