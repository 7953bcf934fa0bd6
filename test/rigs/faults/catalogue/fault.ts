/** A fault of the catalogue: an action on the deployment under load, done once. */
import type { Needs, Stage } from '../rig/session.ts';

export interface NamedFault {
  /** The name that `--only` takes. */
  readonly name: string;
  readonly what: string;
  /** A requirement that not every machine or session meets; otherwise the fault is skipped. A small disk and a standby need separate sessions. */
  readonly needs?: Needs;
  /** The expected reaction of the service, beside the rules that always hold (checker/). */
  readonly expected: string;
  /** Causes the fault and ends it; records both in the history. Rejects if the deployment does not recover. */
  run(stage: Stage): Promise<void>;
}

/** The load did not reach the step of the fault: the fault was not injected, which says nothing about the service. */
export class NotMet extends Error {
  override readonly name = 'NotMet';
}

export function oneOf<T>(choices: readonly T[], random: () => number): T {
  const chosen = choices[Math.floor(random() * choices.length)];
  if (chosen === undefined) throw new RangeError('nothing to choose from');
  return chosen;
}
