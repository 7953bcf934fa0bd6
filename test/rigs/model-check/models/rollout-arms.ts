/** Returns the user's arm. */
import type { RolloutRules, RolloutState, Told } from './rollout-state.ts';

export function armOfUser({ bucket }: RolloutRules, postgres: RolloutState['postgres']): Omit<Told, 'version'> {
  const { stable, candidate, step } = postgres;
  const isIn = bucket === 'drawn again at each step' ? step === 2 : step >= 2;
  return candidate && isIn ? { ...candidate, isCandidate: true } : { ...stable, isCandidate: false };
}
