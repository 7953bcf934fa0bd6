/** Compares a served answer with the candidate's answer, by the decision's output. */
import type { Policy, Prediction, PredictionValue } from '@tandem/freshness/predictor';

/**
 * The rules by which answers are compared. `output` is the compared field of a prediction; null: the first field with
 * one value. `threshold` is null if there is no decision.
 */
export type Yardstick = ReturnType<typeof yardstickOf>;

export function yardstickOf({ decision }: Pick<Policy, 'decision'>) {
  return { output: decision?.output ?? null, threshold: decision?.threshold ?? null };
}

export interface Comparison {
  readonly isDifferent: boolean;
  /** Both values as numbers, with booleans as 0 and 1; null for other types. */
  readonly numbers: { readonly served: number; readonly candidate: number; readonly delta: number } | null;
  /** Whether the decision changed, and in which direction. */
  readonly flip: 'up' | 'down' | null;
  /** Whether the served answer is at or above the threshold. */
  readonly isAbove: boolean;
}

/** Compares two predictions; undefined if one of them lacks the output or has several values in it. */
export function compareAnswers(
  served: Prediction,
  candidate: Prediction,
  { output, threshold }: Yardstick,
): Comparison | undefined {
  const name = output ?? Object.keys(served).find((field) => isOneValue(served[field]));
  const [before, after] = [valueAt(served, name), valueAt(candidate, name)];
  if (before === undefined || after === undefined) return undefined;
  const numbers = numbersOf(before, after);
  const [was, is] = [isAtLeast(numbers?.served, threshold), isAtLeast(numbers?.candidate, threshold)];
  return { isDifferent: before !== after, numbers, flip: was === is ? null : is ? 'up' : 'down', isAbove: was };
}

type Value = number | string | boolean;

function isOneValue(value: PredictionValue | undefined): value is Value {
  return value !== undefined && typeof value !== 'object';
}

function valueAt(prediction: Prediction, name: string | undefined): Value | undefined {
  const value = name === undefined || !Object.hasOwn(prediction, name) ? undefined : prediction[name];
  return isOneValue(value) ? value : undefined;
}

function numbersOf(before: Value, after: Value): Comparison['numbers'] {
  if (typeof before === 'string' || typeof after === 'string') return null;
  const [served, candidate] = [Number(before), Number(after)];
  return { served, candidate, delta: candidate - served };
}

function isAtLeast(value: number | undefined, threshold: number | null): boolean {
  return value !== undefined && threshold !== null && value >= threshold;
}
