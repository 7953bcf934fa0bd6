/**
 * Judges predictions by their outcomes: a probability by log-loss, a list by whether the outcome is among its first
 * items.
 */
import { logLoss } from '@tandem/experiment/estimates/log-loss';
import type { OutputField, PredictionValue } from '@tandem/freshness/predictor';
import type { KnownOutcome } from './value-history.ts';

/** The value of the judged output by context; undefined if the context could not be scored. */
export type Predicted = ReadonlyMap<number, PredictionValue>;

/** Judges the quality of a context's prediction. */
export interface Judge {
  /** `logLoss`: lower is better. `hitRate`: 1 if the outcome is among the first items. */
  readonly measure: 'logLoss' | 'hitRate';
  /** The number of counted items of a list; null if the answer is a probability. */
  readonly top: number | null;
  /** Returns the quality for one read; NaN if the context could not be scored. */
  quality(context: number, outcome: KnownOutcome): number;
  /** Returns the predicted probability; undefined for a list. */
  readonly chance: ((context: number) => number) | undefined;
}

/** Returns the gain of one context's prediction over another's, positive if better. */
export function gainOver(judge: Judge, [ours, theirs]: readonly [number, number], outcome: KnownOutcome): number {
  return (judge.measure === 'logLoss' ? -1 : 1) * (judge.quality(ours, outcome) - judge.quality(theirs, outcome));
}

export function judgeChances(predicted: Predicted): Judge {
  const chance = (context: number) => Number(predicted.get(context) ?? Number.NaN);
  return {
    ...{ measure: 'logLoss', top: null, chance },
    quality: (context, outcome) => logLoss(chance(context), outcome === 1),
  };
}

/**
 * Returns the judge of lists. A list of texts or whole numbers holds items, best first. A list of floats holds a score
 * for each item, counted from 0.
 */
export function judgeLists(predicted: Predicted, { type }: Pick<OutputField, 'type'>, top: number): Judge {
  const isScores = type.startsWith('float');
  const firsts = new Map<number, ReadonlySet<string>>();
  function firstItems(context: number): ReadonlySet<string> | undefined {
    const value = predicted.get(context);
    if (!Array.isArray(value)) return undefined;
    const known = firsts.get(context) ?? new Set((isScores ? bestPlaces(value) : value).slice(0, top).map(String));
    firsts.set(context, known);
    return known;
  }
  return {
    ...{ measure: 'hitRate', top, chance: undefined },
    quality(context: number, outcome: KnownOutcome) {
      const items = firstItems(context);
      return items === undefined ? Number.NaN : Number(items.has(String(outcome)));
    },
  };
}

/** Returns the indexes of the scores, highest score first. */
function bestPlaces(scores: readonly unknown[]): number[] {
  return scores.map((_, place) => place).sort((a, b) => Number(scores[b]) - Number(scores[a]) || a - b);
}
