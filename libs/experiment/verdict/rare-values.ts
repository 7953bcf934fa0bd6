/**
 * Guards verdicts against rare large values. Before the first such value is seen, a sample looks more certain than it
 * is: "not worse" may be concluded although an arm loses the users whose values make the mean.
 *
 * A verdict that rules out a difference must survive ⌈ln(2/alpha)⌉ further users in either arm, each with the greatest
 * possible value. If an arm loses just the tolerated part of the mean in such users, at least ln(2/alpha) of them are
 * expected in the stable arm before the verdict is possible. The probability that none has been seen is then at most
 * exp(−ln(2/alpha)) = alpha/2. The bound needs a known greatest value: a cap, or 1 for a binary outcome. Without a cap
 * the largest value seen takes its place, and nothing covers a larger value to come (rare-values.long.test.ts).
 */
import type { ArmSample } from '../sequential/effect.ts';
import { figure, percent } from './evidence.ts';

/** The share of a sum from which one user is named. */
const LARGE_SHARE = 0.1;

type Pair = readonly [stable: ArmSample, arm: ArmSample];

/** Returns the greatest amount of a user's value; null if it has no bound. */
export function capOf({ kind, cap }: { readonly kind: 'binary' | 'sum'; readonly cap?: number | null }): number | null {
  return kind === 'binary' ? 1 : (cap ?? null);
}

/** Further users whose value a verdict must survive. */
export interface UnseenUsers {
  readonly users: number;
  readonly value: number;
}

export function unseenUsers([stable, arm]: Pair, cap: number | null, alpha: number): UnseenUsers {
  const [one, other] = [stable.largest ?? 0, arm.largest ?? 0];
  const seen = Math.abs(one) > Math.abs(other) ? one : other;
  const value = cap === null ? seen : seen < 0 ? -cap : cap;
  return { users: Math.ceil(Math.log(2 / alpha)), value };
}

/** Returns the samples with the further users in either arm. */
export function withUnseen([stable, arm]: Pair, unseen: UnseenUsers): readonly Pair[] {
  if (unseen.value === 0) return [];
  const more = ({ users, sum, sumOfSquares }: ArmSample): ArmSample => ({
    users: users + unseen.users,
    sum: sum + unseen.users * unseen.value,
    sumOfSquares: sumOfSquares + unseen.users * unseen.value ** 2,
  });
  return [
    [more(stable), arm],
    [stable, more(arm)],
  ];
}

/** Returns a part of a sentence on the users that could change a verdict. */
export function unseenText({ users, value }: UnseenUsers): string {
  return `${users} more users with a value of ${figure(value)} could change that`;
}

/** Returns the end of a sentence that names the share of one user in the sum of an arm; empty if it is small. */
export function largestText(arms: Readonly<Record<string, ArmSample>>, cap: number | null): string {
  const [most] = Object.entries(arms)
    .map(([name, { sum, largest = 0 }]) => ({ name, share: sum === 0 ? 0 : Math.min(1, Math.abs(largest / sum)) }))
    .sort((a, b) => b.share - a.share);
  if (!most || cap !== null || most.share < LARGE_SHARE) return '';
  return `; one user holds ${percent(most.share)} of the sum of ${most.name}, which a cap would limit`;
}
