/**
 * Guards verdicts against rare large values. Before the first such value is seen, a sample looks more certain than it
 * is: "not worse" may be concluded although an arm loses the users whose values make the mean.
 *
 * A verdict that rules out a difference must survive ⌈ln(2/alpha)⌉ further users in either arm, each with the greatest
 * possible value. If an arm loses just the tolerated part of the mean in such users, at least ln(2/alpha) of them are
 * expected in the stable arm before the verdict is possible. The probability that none has been seen is then at most
 * exp(−ln(2/alpha)) = alpha/2. The same holds for an arm that gains users with a large negative value. The bound needs a
 * known greatest value: a cap of either sign, or 1 for a binary outcome. Without a cap the largest value seen takes its
 * place, and nothing covers a larger value to come (rare-values.long.test.ts).
 */
import type { ArmSample, SamplePair } from '../sequential/effect.ts';
import { figure, percent } from './evidence.ts';
import type { OutcomeRule } from './rollout-figures.ts';

/** The share of a sum from which one user is named. */
const LARGE_SHARE = 0.1;

/** The part of an outcome's rule that bounds the values of users. */
type ValueRule = Pick<OutcomeRule, 'kind' | 'cap'>;

/** Further users whose value a verdict must survive. */
type UnseenUsers = ReturnType<typeof unseenUsers>;

/** Returns the further users that a verdict of this level must survive. `values` is empty if no value is known. */
export function unseenUsers([stable, arm]: SamplePair, { kind, cap }: ValueRule, alpha: number) {
  const [one, other] = [stable.largest ?? 0, arm.largest ?? 0];
  const seen = Math.abs(one) > Math.abs(other) ? one : other;
  // A capped sum may be negative, even if none has been seen.
  const values = kind === 'binary' ? [1] : cap == null ? [seen] : [cap, -cap];
  return { users: Math.ceil(Math.log(2 / alpha)), values: values.filter((value) => value !== 0) };
}

/** Returns the samples with the further users in either arm, for each of their values. */
export function withUnseen([stable, arm]: SamplePair, { users: count, values }: UnseenUsers): readonly SamplePair[] {
  return values.flatMap((value): SamplePair[] => {
    const more = ({ users, sum, sumOfSquares }: ArmSample): ArmSample => ({
      users: users + count,
      sum: sum + count * value,
      sumOfSquares: sumOfSquares + count * value ** 2,
    });
    return [
      [more(stable), arm],
      [stable, more(arm)],
    ];
  });
}

/** Returns a part of a sentence on the users that could change a verdict. */
export function unseenText({ users, values }: UnseenUsers): string {
  return `${users} more users with a value of ${values.map(figure).join(' or ')} could change that`;
}

/** Returns the end of a sentence that names the share of one user in the sum of an arm; empty if it is small. */
export function largestText(arms: Readonly<Record<string, ArmSample>>, { kind, cap }: ValueRule): string {
  const [most] = Object.entries(arms)
    .map(([name, { sum, largest = 0 }]) => ({ name, share: sum === 0 ? 0 : Math.min(1, Math.abs(largest / sum)) }))
    .sort((a, b) => b.share - a.share);
  if (!most || kind === 'binary' || cap != null || most.share < LARGE_SHARE) return '';
  return `; one user holds ${percent(most.share)} of the sum of ${most.name}, which a cap would limit`;
}
