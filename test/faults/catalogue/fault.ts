/** A fault of the catalogue: what is done to the deployment under load, once. */
import type { Stage } from '../rig/session.ts';

export interface NamedFault {
  /** As `--only` takes it. */
  readonly name: string;
  readonly what: string;
  /** What the service does about it, beyond what holds in every case (checker/). */
  readonly expected: string;
  /** Does it and mends it; tells the history of both. Rejects where the deployment does not come back. */
  run(stage: Stage): Promise<void>;
}

export function oneOf<T>(choices: readonly T[], random: () => number): T {
  const chosen = choices[Math.floor(random() * choices.length)];
  if (chosen === undefined) throw new RangeError('nothing to choose from');
  return chosen;
}
