/**
 * The effect of an arm on a metric: the difference of two means, in the metric's unit or relative to the stable arm's
 * mean.
 *
 * The variance of a difference is the larger of two estimates. Each arm's own variance (Welch) is far too small if a
 * small arm has had none of the rare or large values: no buyer among 23 users would count as certain. The pooled
 * variance is correct if the arms do not differ, but too small if a small arm has had one such value by chance.
 *
 * With the larger of the two, an estimate is measured in units of its sum of squares. Such self-normalised sums have
 * the tails of a normal distribution, whatever the values are. This is exact if the differences are symmetric, as in
 * two equal arms (de la Peña, Klass, Lai, "Self-normalized processes", Annals of Probability 32, 2004). For counts of
 * rare events z stays below the variance-stabilised 2(√k − √m) on both sides. Cases without a theorem are simulated in
 * false-alarms.long.test.ts.
 */

/** An estimate of an effect, and the estimate's variance. */
export interface Effect {
  readonly estimate: number;
  readonly variance: number;
}

export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * Returns arm − scale × stable, in the metric's unit. A scale other than 1 compares the arm with a part of the stable
 * mean. The variance is 0 if an arm has no users, or if all values are equal: then there is no evidence.
 */
export function differenceOf(stable: ArmSample, arm: ArmSample, scale = 1): Effect {
  return {
    estimate: meanOf(arm) - scale * meanOf(stable),
    variance: Math.max(...spreadsOf(stable, arm).map(({ own, base }) => own + scale * scale * base)),
  };
}

/** Returns (arm − stable) / |stable|; null if the stable arm's mean is 0. */
export function relativeEffectOf(stable: ArmSample, arm: ArmSample): number | null {
  const base = meanOf(stable);
  return base === 0 ? null : (meanOf(arm) - base) / Math.abs(base);
}

/**
 * Returns the relative effects that a test rejecting at `critical` standard errors does not reject (E. C. Fieller,
 * Journal of the Royal Statistical Society B 16, 1954). They include 0 exactly if the interval of the difference does.
 * Returns null if they have no bounds because the stable mean may be 0.
 */
export function relativeInterval(stable: ArmSample, arm: ArmSample, critical: number): Interval | null {
  const [base, own] = [meanOf(stable), meanOf(arm)];
  const ratios: number[] = [];
  for (const spread of spreadsOf(stable, arm)) {
    // (own − ratio × base)² ≤ critical² × (spread.own + ratio² × spread.base), solved for the ratio.
    const square = base * base - critical * critical * spread.base;
    if (square <= 0) return null;
    const root = Math.sqrt(Math.max(0, (base * own) ** 2 - square * (own * own - critical * critical * spread.own)));
    ratios.push((base * own - root) / square, (base * own + root) / square);
  }
  const effects = ratios.map((ratio) => (ratio - 1) * Math.sign(base));
  return { lower: Math.min(...effects), upper: Math.max(...effects) };
}

/** Returns the estimate in standard errors; 0 if all values are equal, which is no evidence. */
export function zOf({ estimate, variance }: Effect): number {
  return variance > 0 ? estimate / Math.sqrt(variance) : 0;
}

/**
 * Returns the parts of a difference's variance, the arm's and the stable arm's without the scale: by each arm's own
 * variance and by the pooled one.
 */
function spreadsOf(stable: ArmSample, arm: ArmSample) {
  if (stable.users === 0 || arm.users === 0) return [{ own: 0, base: 0 }];
  const [own, base] = [varianceOf(arm), varianceOf(stable)];
  const apart = { own: own / arm.users, base: base / stable.users };
  const freedom = arm.users + stable.users - 2;
  if (freedom === 0) return [apart];
  const perUser = (1 / arm.users + 1 / stable.users) / freedom;
  return [apart, { own: own * (arm.users - 1) * perUser, base: base * (stable.users - 1) * perUser }];
}

/**
 * Sufficient statistics of a metric in an arm, over its users, with one value for each user. For a binary metric a
 * value is 0 or 1, and the sum of squares is the sum.
 */
export interface ArmSample {
  readonly users: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  /** The value of a user with the greatest amount, with its sign; absent if it is not known. */
  readonly largest?: number;
}

/** The samples of a metric in the two compared arms. */
export type SamplePair = readonly [stable: ArmSample, arm: ArmSample];

/** Returns the sample with this number of users, whose values have the same distribution. */
export function scaledTo(users: number, sample: ArmSample): ArmSample {
  const times = users / sample.users;
  return { ...sample, users, sum: times * sample.sum, sumOfSquares: times * sample.sumOfSquares };
}

/** Returns the sample with each user's value moved, so that its mean is `mean`. */
export function movedTo(mean: number, sample: ArmSample): ArmSample {
  const { users, sum, sumOfSquares } = sample;
  return { ...sample, sum: users * mean, sumOfSquares: sumOfSquares - sum * meanOf(sample) + users * mean * mean };
}

/** Returns the mean; 0 for an empty sample. */
export function meanOf({ users, sum }: ArmSample): number {
  return users > 0 ? sum / users : 0;
}

/**
 * Returns the number of equal events with the same relative error of the mean: n × mean² / mean square (L. Kish, Survey
 * Sampling, 1965). For a binary metric it is the number of users with the event.
 */
export function effectiveEvents({ sum, sumOfSquares }: ArmSample): number {
  return sumOfSquares > 0 ? (sum * sum) / sumOfSquares : 0;
}

/** Returns the unbiased variance of the sample; 0 if there are fewer than two users. */
function varianceOf({ users, sum, sumOfSquares }: ArmSample): number {
  // Rounding may make the difference slightly negative.
  return users > 1 ? Math.max(0, (sumOfSquares - (sum * sum) / users) / (users - 1)) : 0;
}

/**
 * Returns the total number of users of two equal arms with the same information: 4 / (1/n₀ + 1/n₁). For equal arms it
 * is the number of users. An arm with 1 % of the users counts for about four times its own users.
 */
export function balancedUsers(one: number, other: number): number {
  return one > 0 && other > 0 ? 4 / (1 / one + 1 / other) : 0;
}
