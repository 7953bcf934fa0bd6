/**
 * Bounds of a gain if outcomes are unknown: whatever these outcomes are, the gain on all reads lies between the bounds
 * (Manski, Nonparametric bounds on treatment effects, American Economic Review 80, 1990). They leave out chance.
 */
import type { Interval } from '@tandem/experiment/distributions/wilson';
import { gainOver, type Judge } from './judges.ts';
import type { ValueHistory } from './value-history.ts';

/**
 * Returns the least and the greatest gain on all scorable reads; null if all outcomes are known.
 * @param contexts the contexts of both ways of serving, by read
 */
export function gainBounds(
  history: Pick<ValueHistory, 'reads'>,
  judge: Judge,
  scorable: Uint32Array,
  { ours, theirs }: { readonly ours: ArrayLike<number>; readonly theirs: ArrayLike<number> },
): Interval | null {
  let [low, high, unknown] = [0, 0, 0];
  for (const read of scorable) {
    const outcome = history.reads[read]?.outcome ?? null;
    const contexts = [ours[read] as number, theirs[read] as number] as const;
    if (outcome === null) unknown++;
    const gains = outcome === null ? possibleGains(judge, contexts) : [gainOver(judge, contexts, outcome)];
    low += Math.min(...gains);
    high += Math.max(...gains);
  }
  return unknown === 0 ? null : { low: low / scorable.length, high: high / scorable.length };
}

function possibleGains(judge: Judge, contexts: readonly [number, number]): readonly number[] {
  if (contexts[0] === contexts[1]) return [0];
  return judge.chance ? [0, 1].map((outcome) => gainOver(judge, contexts, outcome)) : [-1, 1];
}
