/**
 * The request features of a read by user: checked against the model version of each user's arm, and answered in the order of
 * the call. A user may come several times, with other values each time.
 */
import type { ReadResult } from './answer.ts';
import type { Assignments } from './certificate.ts';
import { notFound, requestFeaturesRequired, type TandemError } from './errors.ts';
import type { ModelVersion } from './predictor.ts';
import type { ReadOptions, RequestRead } from './read-options.ts';
import { checkRequest, namesWithoutDefault, type RequestedRows, type RequestRow } from './request-features.ts';

/** The results of a read by user: one, or one for each row of request features. */
export type Results = Map<string, ReadResult | readonly ReadResult[]>;

interface Versions {
  modelVersion(id: string): Promise<ModelVersion>;
}

export const NOTHING_REQUESTED: RequestedRows = new Map();

/**
 * Checks the request features of a read. Rejects with `invalid_input` for the first value that does not fit.
 * @param userIds of the call, in its order
 */
export async function requestedRows(
  registry: Versions,
  assignments: Assignments,
  userIds: readonly string[],
  { rows, at }: RequestRead,
): Promise<RequestedRows> {
  const ids = new Set(armsOf(assignments).map(({ modelVersionId }) => modelVersionId));
  const versions = new Map<string, ModelVersion>();
  for (const id of ids) versions.set(id, await registry.modelVersion(id));
  const isKnown = (name: string) =>
    [...versions.values()].some(({ request = [] }) => request.some((column) => column.name === name));
  const requested = new Map<string, RequestRow[]>();
  userIds.forEach((userId, i) => {
    const version = versions.get(assignments.of(userId).modelVersionId) as ModelVersion;
    const row = checkRequest(version, rows[i] ?? {}, isKnown, at(i));
    const others = requested.get(userId);
    if (others) others.push(row);
    else requested.set(userId, [row]);
  });
  return requested;
}

function armsOf({ stable, rollout }: Assignments) {
  return rollout ? [stable, ...rollout.arms] : [stable];
}

/** Whether a read that sends no request features can be answered by this version: it has a default for each. */
export function isComplete(version: ModelVersion, { request }: Pick<ReadOptions, 'request'>): boolean {
  return version.request === undefined || request !== undefined || namesWithoutDefault(version).length === 0;
}

/** The error of a read that needs to send request features and does not. */
export function incomplete(version: ModelVersion): TandemError {
  return requestFeaturesRequired(version.predictor, namesWithoutDefault(version));
}

/** The results in the order of the call: the first row of a user is that of its first place. */
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
