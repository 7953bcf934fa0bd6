/**
 * Sets the priority of inference children against their parent. A child works as long as there is something to run. The
 * parent's event loop works for moments, in which it may answer from stored predictions or reject a request. So
 * children run at a higher nice value; if they have a processor to themselves, this costs them nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/**
 * Steps of niceness, each about 1.25 times: of a processor that both use, the parent may get nine tenths. It does not
 * need it for long: with 3 steps the p99 of cached reads beside saturated inference was 17 ms, with 10 it is 10 (alone
 * 5), and inference does as much.
 */
const STEPS = 10;
/**
 * The nice value of a child that no request waits for: against a serving child it gets an eighth of a processor, and
 * never starves.
 */
const BACKGROUND_STEPS = 19;
const NICEST = 19;
/** Linux lets an ordinary user set one group's niceness in a tenth of a second, and refuses the next with EAGAIN. */
const GROUP_RETRY_MS = 150;
const GROUP_ATTEMPTS = 20;

export interface ChildPriority {
  /** Below the parent: lowers the main thread, which runs models. Continues without it if not permitted. */
  lower(): void;
  /**
   * Far below, while no request waits for the child. Only where Linux has autogroups, since only a group's priority can
   * be raised again.
   */
  giveWay(): void;
}

/** The priority of a child that could not be started. */
export const NO_PRIORITY: ChildPriority = Object.freeze({ lower() {}, giveWay() {} });

/** @param steps of niceness beyond the parent's */
export function createChildPriority(pid: number, steps: number = STEPS): ChildPriority {
  let niceness = (): number => groupsNiceness();
  let isTrying = false;

  /**
   * Linux may schedule a session, such as a child's, as one group with one niceness: then the group's niceness decides.
   * The parent may be in no such group, as what a system starts before any session is: then its own niceness counts.
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
    // Where one is being tried again, that takes the latest wish.
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
