/**
 * Intervals by a studentised bootstrap over users. The reads of one user are not independent, so users are drawn with
 * all of their reads. A draw gives a statistic and its jackknife standard error, and so the distribution of the
 * studentised difference. A percentile interval is too narrow if a few users make most reads. Statistics that are
 * estimated together use the same draws, so that a difference of two of them is paired.
 *
 * Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12. For the jackknife of clusters of
 * unequal size: MacKinnon, Nielsen and Webb, Journal of Applied Econometrics 38, 2023.
 */
import { createRandom } from '../distributions/random.ts';

/** A figure with the bounds of its 95 % interval; the bounds are NaN if there are not enough users. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A figure with its jackknife standard error; NaN if it has no value. */
type Studentised = readonly [value: number, error: number];

/** Computes a figure and its standard error from how often each user was drawn. */
export type Statistic = (weights: ArrayLike<number>) => Studentised;

/** The least number of equally active users for an interval: with fewer users it would be too narrow. */
const LEAST_USERS = 20;

interface Resampling {
  /** The number of reads of each user. */
  readonly counts: Float64Array;
  readonly seed: number;
  readonly resamples: number;
  /** Whether all intervals hold together at 95 %, by the maximum over the statistics of each draw. */
  readonly together?: boolean;
}

/**
 * Returns the number of equally active users whose mean over reads would vary as much: `(Σn)² / Σn²` for users with n
 * reads (Kish, Survey Sampling, 1965).
 */
export function equallyActiveUsers(counts: Float64Array): number {
  const [sum, squares] = counts.reduce(([sum, squares], n) => [sum + n, squares + n * n], [0, 0] as [number, number]);
  return squares === 0 ? 0 : sum ** 2 / squares;
}

/** Returns an estimate for each statistic, in order. */
export function estimate(statistics: readonly Statistic[], resampling: Resampling): Estimate[] {
  const { counts, together = false } = resampling;
  const figures = statistics.map((statistic) => statistic(new Uint8Array(counts.length).fill(1)));
  if (equallyActiveUsers(counts) < LEAST_USERS) return figures.map(([value]) => ({ value, low: NaN, high: NaN }));
  const drawn = drawDifferences(statistics, figures, resampling);
  const alone = drawn.map((one) => tailsOf([one]));
  const joint = tailsOf(drawn.filter((_, i) => isStable(alone[i])));
  return figures.map(([value, error], i) => {
    if (error === 0) return { value, low: value, high: value };
    if (!isStable(alone[i])) return { value, low: Number.NaN, high: Number.NaN };
    const { above, below } = together ? joint : (alone[i] as Tails);
    return { value, low: value - above * error, high: value + below * error };
  });
}

/** Returns the studentised difference to the figure, by statistic and draw; NaN if a draw has no value. */
function drawDifferences(
  statistics: readonly Statistic[],
  figures: readonly Studentised[],
  { counts: { length: users }, seed, resamples }: Resampling,
): Float64Array[] {
  const random = createRandom(seed);
  const drawn = statistics.map(() => new Float64Array(resamples));
  const weights = new Uint32Array(users);
  for (let sample = 0; sample < resamples; sample++) {
    weights.fill(0);
    for (let i = 0; i < users; i++) {
      const user = Math.floor(random() * users);
      weights[user] = (weights[user] as number) + 1;
    }
    statistics.forEach((statistic, i) => {
      const [figure] = figures[i] as Studentised;
      const [value, error] = statistic(weights);
      // Equal figures differ by rounding, which must not be divided by an error of rounding.
      const isEqual = Math.abs(value - figure) <= 1e-12 * Math.abs(figure);
      (drawn[i] as Float64Array)[sample] = isEqual ? 0 : (value - figure) / error;
    });
  }
  return drawn;
}

/** The distances of the bounds in standard errors: of the lower bound from the figure, and of the upper bound. */
type Tails = ReturnType<typeof tailsOf>;

/** The largest distance. A larger one, of a figure that depends on a few users, says that draws omit them. */
const MOST_ERRORS = 10;

function isStable(tails: Tails | undefined): boolean {
  return tails !== undefined && tails.above <= MOST_ERRORS && tails.below <= MOST_ERRORS;
}

/**
 * Returns how many standard errors the bounds are away. Each is the larger of two quantiles: of the absolute difference
 * (symmetric, stable for heavy tails) and of the signed one (equal tails, which follows a skewed distribution).
 */
function tailsOf(drawn: readonly Float64Array[]) {
  const quantile = (level: number, of: (value: number) => number) => {
    const worst = Float64Array.from(drawn[0] ?? [], (_, sample) =>
      drawn.reduce((most, values) => {
        const value = of(values[sample] as number);
        return Number.isNaN(value) ? most : Math.max(most, value);
      }, Number.NEGATIVE_INFINITY),
    );
    const known = worst.filter((value) => value !== Number.NEGATIVE_INFINITY).sort();
    return known[Math.round(level * (known.length - 1))] ?? Number.NaN;
  };
  const [both, up, down] = [quantile(0.95, Math.abs), quantile(0.975, Number), quantile(0.975, (value) => -value)];
  return { above: Math.max(both, up), below: Math.max(both, down) };
}

/** The sums and counts of reads, by user. */
export interface UserSums {
  readonly sums: Float64Array;
  readonly counts: Float64Array;
}

/** Returns sums and counts of 0 for this many users. */
export function newUserSums(users: number): UserSums {
  return { sums: new Float64Array(users), counts: new Float64Array(users) };
}

/** Adds a read of a user with this value. */
export function addRead({ sums, counts }: UserSums, user: number, value: number): void {
  sums[user] = (sums[user] as number) + value;
  counts[user] = (counts[user] as number) + 1;
}

/** Returns the statistic for the mean over reads. */
export function meanOf({ sums, counts }: UserSums): Statistic {
  return (weights) => {
    let [sum, reads, squares] = [0, 0, 0];
    for (let user = 0; user < sums.length; user++) {
      const weight = weights[user] as number;
      sum += weight * (sums[user] as number);
      reads += weight * (counts[user] as number);
    }
    const mean = sum / reads;
    for (let user = 0; user < sums.length; user++) {
      const [weight, count] = [weights[user] as number, counts[user] as number];
      // The change of the mean without the user, times the other users' reads.
      if (weight > 0) squares += weight * (((sums[user] as number) - mean * count) / (reads - count)) ** 2;
    }
    return [mean, Math.sqrt(squares)];
  };
}
