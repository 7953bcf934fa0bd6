/** Joins the rows of a run, and sets the time after which its child is killed. */
import { cpuLimit, type TimeLimit, wallLimit } from '../process/time-limit.ts';
import { joinInputs } from '../tensors/batch-tensors.ts';
import { type Pending, rowsOf } from './pending-requests.ts';
import type { PreparedRun } from './slot.ts';
import type { Part } from './waiting-line.ts';

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
  return {
    feeds: joinInputs(inputs, rowsOf(parts)),
    fetches: parts[0]?.outputs ?? [],
    rowByRow: parts[0]?.version.rowByRow ?? false,
    priority,
    limit: limitOf(parts[0], Math.max(...limits), killGraceMs),
  };
}

/** Returns the limit of a run: wall time for live readers; CPU time for a batch, where it identifies poison rows. */
function limitOf(part: Part<Pending> | undefined, ms: number, killGraceMs: number): TimeLimit {
  if (part?.request.priority === 'live') return wallLimit(ms);
  // Suspect rows wait while a row of live reads runs alone.
  return part?.isAlone ? cpuLimit(ms, ms + killGraceMs) : cpuLimit(ms);
}
