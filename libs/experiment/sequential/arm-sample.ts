/**
 * What is known of a metric in an arm: sufficient statistics over its users, one value of each user. Of a binary metric a
 * value is 0 or 1, and the sum of squares is the sum.
 */
export interface ArmSample {
  readonly users: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/** Returns the mean; 0 of an empty sample. */
export function meanOf({ users, sum }: ArmSample): number {
  return users > 0 ? sum / users : 0;
}

/** The sample's variance, unbiased; 0 where there are fewer than two users. */
export function varianceOf({ users, sum, sumOfSquares }: ArmSample): number {
  // Rounding may make it a little less than nothing.
  return users > 1 ? Math.max(0, (sumOfSquares - (sum * sum) / users) / (users - 1)) : 0;
}

/**
 * How many users each of two equal arms would need to know as much as these: 4 / (1/n₀ + 1/n₁), so that an arm of 1 % of
 * the users counts for little more than its own users. It is the total where the arms are equal.
 */
export function balancedUsers(one: number, other: number): number {
  return one > 0 && other > 0 ? 4 / (1 / one + 1 / other) : 0;
}
