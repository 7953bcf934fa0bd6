/**
 * Asks the online store for candidates, with one request for each arm, all at once. The first requests start before
 * Postgres has answered, so they guess the arms from the last certificate. If the new certificate has other arms, the
 * store is asked again.
 */

import type { Assignment, Assignments } from './certificate.ts';
import type { Candidates, OnlinePredictions } from './stored-prediction.ts';

export const NO_CANDIDATES: Candidates = new Map();

/** Returns the found candidates; null if the store does not answer. */
export async function findOnline(
  online: Pick<OnlinePredictions, 'find'>,
  assignment: Assignment,
  userIds: readonly string[],
): Promise<Candidates | null> {
  return online.find(assignment, userIds).catch(() => null);
}

/** Finds candidates of users, whatever their arms; null if no assignment is known or the store does not answer. */
export async function guessOnline(
  online: Pick<OnlinePredictions, 'find'>,
  assignments: Assignments | undefined,
  userIds: readonly string[],
): Promise<Candidates | null> {
  if (!assignments) return null;
  const groups = groupByArm(assignments, userIds);
  const [only] = groups;
  if (only && groups.length === 1) return findOnline(online, only.assignment, userIds);
  return joined(await Promise.all(groups.map((group) => findOnline(online, group.assignment, group.userIds))));
}

/** Returns whether candidates were requested for the generation that is assigned. */
export function isGuessed(known: Assignments | undefined, { generation }: Assignment, userId: string): boolean {
  return known !== undefined && known.of(userId).generation?.id === generation?.id;
}

/** Returns all found candidates; null if any request was not answered. */
export function joined(parts: readonly (Candidates | null)[]): Candidates | null {
  const answered = parts.filter((part) => part !== null);
  return answered.length < parts.length ? null : new Map(answered.flatMap((part) => [...part]));
}

/**
 * The users of one read, grouped by the arm that serves them; each group is read and decided together. Usually there is
 * one group. While a rollout is active, a read of many users can have one group for each arm.
 */
export interface ArmGroup {
  readonly assignment: Assignment;
  readonly userIds: readonly string[];
}

/**
 * Groups users by the arm that serves them.
 * @param userIds the ids of the users, distinct and at least one
 */
export function groupByArm(assignments: Assignments, userIds: readonly string[]): readonly ArmGroup[] {
  const [first = ''] = userIds;
  if (assignments.rollout === null) return [{ assignment: assignments.stable, userIds }];
  if (userIds.length === 1) return [{ assignment: assignments.of(first), userIds }];
  const groups = Map.groupBy(userIds, (userId) => assignments.of(userId));
  return [...groups].map(([assignment, users]) => ({ assignment, userIds: users }));
}
