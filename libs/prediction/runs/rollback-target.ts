/** Where a rollback goes: one rule for the store, which obeys it, and for whoever asks a person before. */
import { TandemError } from '../errors.ts';
import type { Generation } from './generations.ts';

type Choosable = Pick<Generation, 'number' | 'state' | 'wasStable'>;

/**
 * Throws `unknown_generation`, naming those that can be returned to.
 * @param all newest first
 * @param from the one in force; null where there is none
 * @param to a number; null: the newest before the one in force, of a model version that was the stable one: what a rollout
 * tried and took back comes between them, and was taken back for a reason
 */
export function rollbackTarget<T extends Choosable>(all: readonly T[], from: T | null, to: number | null): T {
  const available = all.filter((one) => one.state === 'published' && one.number !== from?.number);
  const target =
    to === null
      ? available.find((one) => one.wasStable && (from === null || one.number < from.number))
      : available.find((one) => one.number === to);
  if (target) return target;
  const numbers = available.map((one) => one.number);
  throw new TandemError('unknown_generation', whyNot(all, from, to), {
    field: 'to',
    remedy: numbers.length > 0 ? `choose one of ${numbers.join(', ')}` : 'there is none to return to yet',
  });
}

function whyNot(all: readonly Choosable[], from: Choosable | null, to: number | null): string {
  if (to === null) {
    return `There is no published generation before ${from ? `generation ${from.number}, which is in force` : 'the first run'}.`;
  }
  const asked = all.find((one) => one.number === to);
  if (!asked) return `There is no generation ${to}.`;
  if (asked.number === from?.number) return `Generation ${to} is in force already.`;
  return `Generation ${to} is ${asked.state === 'dropped' ? 'dropped' : 'not published'}.`;
}
