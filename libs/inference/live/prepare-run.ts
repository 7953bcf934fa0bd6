/** Joins the rows of a run, and sets the time after which its child is killed. */
import { cpuLimit, wallLimit } from '../process/time-limit.ts';
import { joinInputs } from '../tensors/batch-tensors.ts';
import type { PreparedRun } from './slot.ts';
import { type Part, type Pending, rowsOf } from './waiting-requests.ts';

/**
 * Prepares a run of these parts.
 * @param now ms on the clock of their deadlines
 */
export function prepareRun(parts: readonly Part<Pending>[], killGraceMs: number, now: number): PreparedRun {
  const priority = parts[0]?.request.priority ?? 'batch';
  const graceMs = priority === 'live' ? killGraceMs : 0;
  // Each request has its own limit, so that a long timeout does not prolong the run of another request.
  const limits = parts.map(({ request: r }) =>
    Math.min(r.runTimeoutMs + graceMs, Math.max(0, r.deadline - now) + killGraceMs),
  );
  const inputs = parts.map((part) => part.inputs);
  // Wall time for live readers; CPU time for a batch, where the limit identifies poison rows.
  const limitOf = priority === 'batch' ? cpuLimit : wallLimit;
  return {
    feeds: joinInputs(inputs, rowsOf(parts)),
    fetches: parts[0]?.outputs ?? [],
    rowByRow: parts[0]?.version.rowByRow ?? false,
    priority,
    limit: limitOf(Math.max(...limits)),
  };
}
