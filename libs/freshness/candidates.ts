/**
 * Asks the online store for candidates: one question an arm, all of them together. For a guess, made before Postgres has
 * said who is assigned what, the arms are those that it last spoke of; where they turn out to be others, it is asked again.
 */

import type { Assignment, Assignments } from './certificate.ts';
import type { Candidates, OnlinePredictions } from './stored-prediction.ts';

export const NO_CANDIDATES: Candidates = new Map();

/** Null where the store does not answer. */
export async function findOnline(
  online: Pick<OnlinePredictions, 'find'>,
  assignment: Assignment,
  userIds: readonly string[],
): Promise<Candidates | null> {
  return online.find(assignment, userIds).catch(() => null);
}

/** Of users of any arms; null where there is nothing to go by, or the store does not answer. */
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

/** Whether candidates were asked for of the generation that turned out to be assigned. */
export function isGuessed(known: Assignments | undefined, { generation }: Assignment, userId: string): boolean {
  return known !== undefined && known.of(userId).generation?.id === generation?.id;
}

/** All that was found; null where a part was not answered. */
export function joined(parts: readonly (Candidates | null)[]): Candidates | null {
  const answered = parts.filter((part) => part !== null);
  return answered.length < parts.length ? null : new Map(answered.flatMap((part) => [...part]));
}

/**
 * The users of one read by the arm that serves them: what is asked for and decided together. Mostly there is one group;
 * while a rollout is active, a read of many users has a group for each arm among them.
 */
export interface ArmGroup {
  readonly assignment: Assignment;
  readonly userIds: readonly string[];
}

/** @param userIds distinct; at least one */
export function groupByArm(assignments: Assignments, userIds: readonly string[]): readonly ArmGroup[] {
  const [first = ''] = userIds;
  if (assignments.rollout === null) return [{ assignment: assignments.stable, userIds }];
  if (userIds.length === 1) return [{ assignment: assignments.of(first), userIds }];
  const groups = Map.groupBy(userIds, (userId) => assignments.of(userId));
  return [...groups].map(([assignment, users]) => ({ assignment, userIds: users }));
}
