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
/** Linux lets an ordinary user set one group's niceness in a tenth of a second, and refuses the next with EAGAIN. */
const GROUP_RETRY_MS = 150;
const GROUP_ATTEMPTS = 20;

/** Of the main thread of a process, which is what runs models. Goes on without where it is not allowed. */
export function lowerPriority(pid: number): void {
  refusalOf(() => setPriority(pid, nicer(getPriority())));
  lowerGroup(pid, GROUP_ATTEMPTS);
}

/**
 * A session of its own, as a child's, may be scheduled by Linux as a group, and has a niceness as one: then that decides.
 * The parent may be in no such group, as what a system starts before any session is: then its own niceness counts.
 */
function lowerGroup(pid: number, attempts: number): void {
  const refusal = refusalOf(() => {
    const own = / nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'latin1'))?.[1] ?? getPriority();
    writeFileSync(`/proc/${pid}/autogroup`, `${nicer(Number(own))}`);
  });
  if (refusal === 'EAGAIN' && attempts > 1) setTimeout(lowerGroup, GROUP_RETRY_MS, pid, attempts - 1).unref();
}

function nicer(niceness: number): number {
  return Math.min(NICEST, niceness + STEPS);
}

/** The code of the error; undefined where there was none. What is forbidden, or not there on this system, is done without. */
function refusalOf(attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
