/**
 * Sets the priority of inference children relative to their parent. A child works continuously while there are runs.
 * The parent's event loop works only for moments, in which it answers from stored predictions or rejects requests. So
 * children run at a higher nice value. On an otherwise idle processor, this has no cost.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/**
 * Steps of niceness, each a factor of about 1.25: if both use a processor, the parent may get nine tenths of it. The
 * parent needs this share only for moments. During saturated inference, the p99 of cached reads was 17 ms with 3 steps
 * and is 10 ms with 10 (5 ms without inference), and the throughput of inference is the same.
 */
const STEPS = 10;
/**
 * The nice value of a child that no request waits for. Beside a serving child it gets an eighth of a processor, and
 * never starves.
 */
const BACKGROUND_STEPS = 19;
const NICEST = 19;
/**
 * Milliseconds between attempts. Linux allows a normal user to set a group's niceness once in 0.1 s, and rejects the
 * next attempt with EAGAIN.
 */
const GROUP_RETRY_MS = 150;
const GROUP_ATTEMPTS = 20;

export interface ChildPriority {
  /**
   * Lowers the priority of the main thread, which runs models, below the parent's. Has no effect if it is not
   * permitted.
   */
  lower(): void;
  /**
   * Lowers the priority far below the parent's, while no request waits for the child. It works only with the autogroups
   * of Linux, since only a group's priority can be raised again.
   */
  giveWay(): void;
}

/** The priority of a child that could not be started. */
export const NO_PRIORITY: ChildPriority = Object.freeze({ lower() {}, giveWay() {} });

/**
 * Creates the priority of a child.
 * @param steps the niceness above the parent's
 */
export function createChildPriority(pid: number, steps: number = STEPS): ChildPriority {
  let niceness = (): number => groupsNiceness();
  let isTrying = false;

  /**
   * Returns the niceness for the group. Linux may schedule a session, such as a child's, as one group, and then the
   * group's niceness decides. If the parent is not in a group, like processes that start before any session, its own
   * niceness counts.
   */
  function groupsNiceness(by: number = steps): number {
    const own = / nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'latin1'))?.[1] ?? getPriority();
    return nicer(Number(own), by);
  }

  function setGroup(attempts: number): void {
    const refusal = refusalOf(() => writeFileSync(`/proc/${pid}/autogroup`, `${niceness()}`));
    isTrying = refusal === 'EAGAIN' && attempts > 1;
    if (isTrying) setTimeout(setGroup, GROUP_RETRY_MS, attempts - 1).unref();
  }

  function wish(wanted: () => number): void {
    niceness = wanted;
    // An attempt in progress uses the latest value.
    if (!isTrying) setGroup(GROUP_ATTEMPTS);
  }

  return {
    lower() {
      refusalOf(() => setPriority(pid, nicer(getPriority(), steps)));
      wish(() => groupsNiceness());
    },
    giveWay: () => wish(() => groupsNiceness(BACKGROUND_STEPS)),
  };
}

function nicer(niceness: number, steps: number): number {
  return Math.min(NICEST, niceness + steps);
}

/**
 * Returns the code of the error; undefined if there was none. Errors about missing permission or support are ignored.
 */
function refusalOf(attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
