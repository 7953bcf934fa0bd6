/**
 * Welch's t-test of two means (B. L. Welch, Biometrika 34, 1947): honest where one looks once, at a time set beforehand. It
 * is there for comparison with other tools; verdicts are of the sequential tests.
 */
import { type ArmSample, varianceOf } from './arm-sample.ts';
import { differenceOf } from './effect.ts';
import { studentCritical, studentTwoSided } from './student-t.ts';

export interface FixedHorizonResult {
  /** Two-sided, of no difference. */
  readonly pValue: number;
  /** Of the difference arm − stable, with the probability 1 − alpha. */
  readonly lower: number;
  readonly upper: number;
}

/** null where it says nothing: fewer than two users in an arm, or no variance. */
export function fixedHorizonTest(stable: ArmSample, arm: ArmSample, alpha: number): FixedHorizonResult | null {
  const { estimate, variance } = differenceOf(stable, arm);
  if (stable.users < 2 || arm.users < 2 || variance === 0) return null;
  const freedom = variance ** 2 / (part(stable) + part(arm));
  const halfWidth = studentCritical(alpha, freedom) * Math.sqrt(variance);
  return {
    pValue: studentTwoSided(estimate / Math.sqrt(variance), freedom),
    lower: estimate - halfWidth,
    upper: estimate + halfWidth,
  };
}

/** An arm's term of the Welch–Satterthwaite degrees of freedom. */
function part(sample: ArmSample): number {
  return (varianceOf(sample) / sample.users) ** 2 / (sample.users - 1);
}
