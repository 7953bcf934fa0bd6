/**
 * The effect of an arm on a metric: the difference of two means, in the metric's unit or relative to the stable arm's mean.
 * The relative effect's variance is the delta method's (Deng, Knoblich, Lu, "Applying the Delta Method in Metric Analytics",
 * KDD 2018): first order in both means.
 */
import { type ArmSample, meanOf, varianceOf } from './arm-sample.ts';

/** Of an effect: what it is estimated to be, and that estimate's variance. */
export interface Effect {
  readonly estimate: number;
  readonly variance: number;
}

/** arm − stable × scale, in the metric's unit. A scale other than 1 asks how the arm compares with a part of the stable mean. */
export function differenceOf(stable: ArmSample, arm: ArmSample, scale = 1): Effect {
  return {
    estimate: meanOf(arm) - scale * meanOf(stable),
    variance: varianceOfMean(arm) + scale * scale * varianceOfMean(stable),
  };
}

/** (arm − stable) / |stable|; null where the stable arm's mean is 0. */
export function relativeEffectOf(stable: ArmSample, arm: ArmSample): Effect | null {
  const base = meanOf(stable);
  if (base === 0) return null;
  const ratio = meanOf(arm) / base;
  return {
    estimate: (ratio - 1) * Math.sign(base),
    variance: (varianceOfMean(arm) + ratio * ratio * varianceOfMean(stable)) / (base * base),
  };
}

/** In standard errors; 0 where nothing varies, which proves nothing. */
export function zOf({ estimate, variance }: Effect): number {
  return variance > 0 ? estimate / Math.sqrt(variance) : 0;
}

function varianceOfMean(sample: ArmSample): number {
  return sample.users > 0 ? varianceOf(sample) / sample.users : 0;
}
