/**
 * The request features of a read by user. They are checked against the model version of each user's arm, and answered
 * in the order of the call. A user may occur several times, each time with other values.
 */
import type { ReadResult } from './answer.ts';
import type { Assignments } from './certificate.ts';
import { isTandemError, notFound, requestFeaturesRequired, requestUnusable, TandemError } from './errors.ts';
import type { ModelVersion } from './predictor.ts';
import type { ReadOptions, RequestRead } from './read-options.ts';
import { checkRequest, namesWithoutDefault, type RequestedRows, type RequestRow } from './request-features.ts';

/** The results of a read by user: a single result, or one for each row of request features. */
export type Results = Map<string, ReadResult | readonly ReadResult[]>;

export const NOTHING_REQUESTED: RequestedRows = new Map();

/**
 * Checks the request features of a read. Rejects with `invalid_input` for the first fault. If only the version of a
 * rollout's arm rejects the values, that user alone gets an error: a caller may send any values that the stable version
 * accepts.
 * @param userIds the users of the call, in its order
 * @param results receives the errors of single users
 */
export async function requestedRows(
  registry: { modelVersion(id: string): Promise<ModelVersion> },
  assignments: Assignments,
  userIds: readonly string[],
  { rows, at, checkVersion }: RequestRead,
  results: Results,
): Promise<RequestedRows> {
  const ids = new Set(
    [assignments.stable, ...(assignments.rollout?.arms ?? [])].map(({ modelVersionId }) => modelVersionId),
  );
  const versions = new Map<string, ModelVersion>();
  for (const id of ids) versions.set(id, await registry.modelVersion(id));
  const isKnown = (name: string) =>
    [...versions.values()].some(({ request = [] }) => request.some((column) => column.name === name));
  const requested = new Map<string, RequestRow[]>();
  const stable = versions.get(assignments.stable.modelVersionId) as ModelVersion;
  userIds.forEach((userId, i) => {
    const version = versions.get(assignments.of(userId).modelVersionId) as ModelVersion;
    const others = requested.get(userId);
    const row = checkArm(version, stable, userId, (one) => {
      if (!others) checkVersion?.(one);
      return checkRequest(one, rows[i] ?? {}, isKnown, at(i));
    });
    if (row instanceof TandemError) {
      results.set(userId, row);
      return;
    }
    if (others) others.push(row);
    else requested.set(userId, [row]);
  });
  return requested;
}

/** Checks a user's request features against the model version of the user's arm. Throws if the stable version rejects them, too. */
function checkArm(
  version: ModelVersion,
  stable: ModelVersion,
  userId: string,
  check: (version: ModelVersion) => RequestRow,
): RequestRow | TandemError {
  try {
    return check(version);
  } catch (error) {
    if (version === stable || !isTandemError(error)) throw error;
    check(stable);
    return requestUnusable(userId, error);
  }
}

/** Returns whether this version can answer the read: the call sends request features, or each has a default. */
export function isComplete(version: ModelVersion, { request }: Pick<ReadOptions, 'request'>): boolean {
  return version.request === undefined || request !== undefined || namesWithoutDefault(version).length === 0;
}

/** Sets the error of all users if the version needs request features that the read lacks. Returns whether it did. */
export function refuseIncomplete(
  version: ModelVersion,
  options: ReadOptions,
  userIds: readonly string[],
  results: Results,
): boolean {
  if (isComplete(version, options)) return false;
  const error = requestFeaturesRequired(version.predictor, namesWithoutDefault(version));
  for (const userId of userIds) results.set(userId, error);
  return true;
}

/**
 * Turns a read with request features into a demand for an inference, since no stored prediction was computed from its
 * values.
 */
export function asDemand(options: ReadOptions): ReadOptions {
  return options.request && !options.noCache ? { ...options, noCache: true } : options;
}

/** Returns the results in the order of the call. The rows of a user are in the order of the user's occurrences. */
export function inOrder(userIds: readonly string[], results: Results): ReadResult[] {
  const places = new Map<string, number>();
  return userIds.map((userId) => {
    const found = results.get(userId) ?? notFound(userId);
    if (!isRows(found)) return found;
    const place = places.get(userId) ?? 0;
    places.set(userId, place + 1);
    return found[place] ?? notFound(userId);
  });
}

function isRows(results: ReadResult | readonly ReadResult[]): results is readonly ReadResult[] {
  return Array.isArray(results);
}
