/**
 * Chooses the generation of a rollback. The store and the command, which first asks for confirmation, use the same
 * rule.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { Generation, GenerationState } from './generations.ts';

/** A generation as the store or the API shows it. The API also names generations that are held back. */
type Choosable = Pick<Generation, 'number' | 'wasStable' | 'servedStable' | 'modelNumber'> & {
  readonly state: GenerationState | 'held_back';
};

export interface WantedRollback {
  /**
   * The number of the target generation; null: the newest generation that the stable arm served before the current one.
   */
  readonly to: number | null;
  /** Whether to allow a model version that was never stable. */
  readonly force?: boolean;
}

/**
 * Returns the generation that a rollback goes to. Without `to`, generations that only a rollout's arm served are
 * skipped. Throws `unknown_generation`, which names the possible generations, or `never_stable`.
 * @param all all generations, newest first
 * @param from the current generation; null if there is none
 */
export function rollbackTarget<T extends Choosable>(
  all: readonly T[],
  from: T | null,
  { to, force = false }: WantedRollback,
): T {
  const available = all.filter((one) => one.state === 'published' && one.number !== from?.number);
  const target =
    to === null
      ? available.find((one) => one.servedStable && (from === null || one.number < from.number))
      : available.find((one) => one.number === to);
  if (target && !target.wasStable && !force) throw neverStable(target);
  if (target) return target;
  const numbers = available.map((one) => one.number);
  throw new TandemError('unknown_generation', whyNot(all, from, to), {
    field: 'to',
    remedy:
      numbers.length > 0
        ? `choose one of ${numbers.join(', ')}`
        : 'start a run first: there is no other published generation yet',
  });
}

function neverStable({ number, modelNumber }: Choosable): TandemError {
  return new TandemError(
    'never_stable',
    `Generation ${number} is of model version ${modelNumber}, which has never been stable.`,
    { field: 'to', remedy: 'start a rollout of that version; --force (force: true) serves it to all users untested' },
  );
}

function whyNot(all: readonly Choosable[], from: Choosable | null, to: number | null): string {
  if (to === null) {
    return `There is no published generation before ${from ? `the current generation ${from.number}` : 'the first run'}.`;
  }
  const asked = all.find((one) => one.number === to);
  if (!asked) return `There is no generation ${to}.`;
  if (asked.number === from?.number) return `Generation ${to} is already current.`;
  return `Generation ${to} is ${asked.state === 'dropped' ? 'dropped' : 'not published'}.`;
}
