/**
 * The users of one read by the arm that serves them: what is asked for and decided together. Mostly there is one group, of
 * everybody; while a rollout is under way a read of many users falls into as many as there are arms among them.
 */
import type { Assignment, Assignments } from './certificate.ts';

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
