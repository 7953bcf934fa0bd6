/**
 * Whom a processor goes to that a child and its parent both want. A child is at work for as long as there is something to
 * run; the parent's event loop for moments, in each of which it may answer somebody from what is stored, or refuse
 * somebody. So the children are nicer: where they have a processor to themselves they lose nothing by it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Steps of niceness, each about 1.25 times: of a processor that both want, the parent may have two thirds. */
const STEPS = 3;
const NICEST = 19;

/** Of the main thread of a process, which is what runs models. Goes on without where it is not allowed. */
export function lowerPriority(pid: number): void {
  ignoringRefusal(() => setPriority(pid, nicer(getPriority())));
  // A session of its own, as a child's, may be scheduled by Linux as a group, and has a niceness as one: then that decides.
  ignoringRefusal(() => {
    const own = / nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'latin1'))?.[1];
    if (own !== undefined) writeFileSync(`/proc/${pid}/autogroup`, `${nicer(Number(own))}`);
  });
}

function nicer(niceness: number): number {
  return Math.min(NICEST, niceness + STEPS);
}

function ignoringRefusal(attempt: () => void): void {
  try {
    attempt();
  } catch {
    // Forbidden, or another system.
  }
}
