/** A fault of the catalogue: an action on the deployment under load, done once. */
import type { Needs, Stage } from '../rig/session.ts';

export interface NamedFault {
  /** As `--only` takes it. */
  readonly name: string;
  readonly what: string;
  /** What not every machine gives, or not every session has; elsewhere it is skipped. A small disk and a standby have sessions of their own. */
  readonly needs?: Needs;
  /** What the service does about it, beyond what holds in every case (checker/). */
  readonly expected: string;
  /** Causes the fault and ends it; records both in the history. Rejects if the deployment does not recover. */
  run(stage: Stage): Promise<void>;
}

/** The load did not come to where the fault was to be done: nothing is known, and nothing is wrong. */
export class NotMet extends Error {
  override readonly name = 'NotMet';
}

export function oneOf<T>(choices: readonly T[], random: () => number): T {
  const chosen = choices[Math.floor(random() * choices.length)];
  if (chosen === undefined) throw new RangeError('nothing to choose from');
  return chosen;
}
