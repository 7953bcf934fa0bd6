/** A fault of the catalogue: an action on the deployment under load, done once. */
import type { Needs, Stage } from '../rig/session.ts';

export interface NamedFault {
  /** The name that `--only` takes. */
  readonly name: string;
  readonly what: string;
  /** A requirement of the fault. A machine or session that does not meet it skips the fault. */
  readonly needs?: Needs;
  /** The expected reaction of the service, in addition to the rules that always hold (checker/). */
  readonly expected: string;
  /** Causes the fault and ends it; records both in the history. Rejects if the deployment does not recover. */
  run(stage: Stage): Promise<void>;
}

/**
 * Thrown if the load did not reach the step of the fault. The fault was not injected, so the service was not tested.
 */
export class NotMet extends Error {
  override readonly name = 'NotMet';
}

export function oneOf<T>(choices: readonly T[], random: () => number): T {
  const chosen = choices[Math.floor(random() * choices.length)];
  if (chosen === undefined) throw new RangeError('nothing to choose from');
  return chosen;
}
