/**
 * Judges predictions by their outcomes: a probability by log-loss, a list by whether the outcome is among its first
 * items.
 */
import { logLoss } from '@tandem/experiment/value/quality';
import type { OutputField, PredictionValue } from '@tandem/freshness/predictor';
import type { Outcome } from './value-history.ts';
import type { Judge } from './value-report.ts';

/** The value of the judged output by context; undefined if the context could not be scored. */
export type Predicted = ReadonlyMap<number, PredictionValue>;

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
    quality(context: number, outcome: Outcome) {
      const items = firstItems(context);
      return items === undefined ? Number.NaN : Number(items.has(String(outcome)));
    },
  };
}

/** Returns the indexes of the scores, highest score first. */
function bestPlaces(scores: readonly unknown[]): number[] {
  return scores.map((_, place) => place).sort((a, b) => Number(scores[b]) - Number(scores[a]) || a - b);
}
