/** Which arm the user is in, and the overlay's two places, each with its compare-and-set. */
import type { Entry, RolloutRules, RolloutState, Told } from './rollout-state.ts';

export function armOfUser({ bucket }: RolloutRules, postgres: RolloutState['postgres']): Omit<Told, 'version'> {
  const { stable, candidate, step } = postgres;
  const isIn = bucket === 'anew at each step' ? step === 2 : step >= 2;
  return candidate && isIn ? { ...candidate, isCandidate: true } : { ...stable, isCandidate: false };
}

/** I5, in Postgres: of each model version the latest entry, by floor and label. */
export function keepEntry({ postgres }: RolloutState, entry: Entry): void {
  const known = postgres.entries[entry.model - 1];
  const isNewer = !known || entry.floor > known.floor || (entry.floor === known.floor && entry.label > known.label);
  if (isNewer) postgres.entries[entry.model - 1] = entry;
}

/** I5, in Redis, as put-overlay.lua has it: of a model version a higher floor stays, and within it the higher label. */
export function putEntry({ redis }: RolloutState, entry: Entry): void {
  const known = redis.overlay;
  const stays =
    known?.model === entry.model &&
    (known.floor !== entry.floor ? known.floor > entry.floor : known.label >= entry.label);
  if (!stays) redis.overlay = entry;
}
