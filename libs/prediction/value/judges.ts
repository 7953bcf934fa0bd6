/** Judges of predictions by what followed: a chance by log-loss, a list by whether the outcome is among its first items. */
import { logLoss } from '@tandem/experiment/value/quality';
import type { OutputField, PredictionValue } from '@tandem/freshness/predictor';
import type { Outcome } from './value-history.ts';
import type { Judge } from './value-report.ts';

/** The value of the judged output by context; undefined if it could not be scored. */
export type Predicted = ReadonlyMap<number, PredictionValue>;

export function judgeChances(predicted: Predicted): Judge {
  const chance = (context: number) => Number(predicted.get(context) ?? Number.NaN);
  return {
    ...{ measure: 'logLoss', top: null, chance },
    quality: (context, outcome) => logLoss(chance(context), outcome === 1),
  };
}

/** A list of texts or whole numbers holds items, best first; a list of floats, a score for each item from number 0 on. */
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

/** The places of the scores, the highest first. */
function bestPlaces(scores: readonly unknown[]): number[] {
  return scores.map((_, place) => place).sort((a, b) => Number(scores[b]) - Number(scores[a]) || a - b);
}
