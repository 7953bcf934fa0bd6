/**
 * A small gradient boosting on made-up customers. Each tree is fitted to the residuals of the previous trees (squared
 * error, splits between the bins of a histogram). The model has the shape of trained trees: features of unequal
 * importance, unbalanced splits, and branches that end early.
 *
 * A model's cost depends on that shape. Measured in turns on one machine, for 200 trees:
 * - 3.5 µs per user: these trees, of depth 5, on such customers
 * - 4.5 µs: trees that XGBoost fitted to purchases of real customers, on those customers
 * - 10 µs: trees of depth 5 with random splits on uniform features, since a processor cannot predict their branches
 */

export interface Boosting {
  /** The number of features of a user. */
  readonly width: number;
  readonly trees: number;
  /** The most splits from the root to a leaf. */
  readonly depth: number;
  /** The number of users to learn from. */
  readonly users: number;
  /** Returns a random number from 0 to 1. */
  readonly random: () => number;
}

/**
 * Returns typical features of a customer, from 0 to 1: the activity, which is mostly low, and counts of actions, which
 * are zero for two of three users.
 */
function likelyFeatures(width: number, random: () => number): number[] {
  const activity = random() ** 2;
  const did = () => (random() < activity ? random() * activity : 0);
  return [activity, ...Array.from({ length: width - 1 }, did)];
}

/** A leaf with a value; or a split, with users up to `threshold` in `low` and the others in `high`. */
export type Tree =
  | { readonly value: number }
  | { readonly feature: number; readonly threshold: number; readonly low: Tree; readonly high: Tree };

const BINS = 64;
const LEARNING_RATE = 0.1;
/** The least number of users of a leaf. */
const LEAF_USERS = 20;

export function boostTrees({ width, trees, depth, users, random }: Boosting): Tree[] {
  const rows = Array.from({ length: users }, () => likelyFeatures(width, random));
  const bins = Array.from({ length: width }, (_, feature) =>
    Uint8Array.from(rows, (row) => (row[feature] as number) * BINS),
  );
  const residuals = Float64Array.from(rows, (row) => outcomeOf(row) + (random() - 0.5) / 2);
  const everybody = Array.from(rows.keys());
  return Array.from({ length: trees }, () => grow({ bins, residuals }, everybody, depth));
}

/**
 * Returns the outcome to learn. Some features have a large effect, some only in combination, some a small one, and
 * others none.
 */
function outcomeOf(row: readonly number[]): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = row;
  return 2 * a ** 3 + (b > 0.8 ? 1 - c : c * d) + 0.5 * Math.sin(6 * d) + 0.3 * (e > 0.95 ? 1 : 0) + 0.1 * f;
}

interface Sample {
  /** The bin of each user, by feature. */
  readonly bins: readonly Uint8Array[];
  /** The residual of each user after the trees so far. A new leaf reduces the residuals of its users. */
  readonly residuals: Float64Array;
}

function grow(sample: Sample, users: readonly number[], depth: number): Tree {
  const split = depth > 0 ? bestSplit(sample, users) : null;
  if (split === null) return leafOf(sample, users);
  const bins = sample.bins[split.feature] as Uint8Array;
  const isLow = (user: number) => (bins[user] as number) <= split.bin;
  const low = grow(sample, users.filter(isLow), depth - 1);
  const high = grow(
    sample,
    users.filter((user) => !isLow(user)),
    depth - 1,
  );
  return { feature: split.feature, threshold: (split.bin + 1) / BINS, low, high };
}

function leafOf({ residuals }: Sample, users: readonly number[]): Tree {
  const sum = users.reduce((total, user) => total + (residuals[user] as number), 0);
  const value = (LEARNING_RATE * sum) / Math.max(1, users.length);
  for (const user of users) residuals[user] = (residuals[user] as number) - value;
  return { value };
}

/**
 * Returns the split that explains most of the residuals, with the last bin of the lower side; null if every split would
 * leave too few users on one side.
 */
function bestSplit({ bins, residuals }: Sample, users: readonly number[]) {
  const best = { feature: -1, bin: 0, gain: Number.NEGATIVE_INFINITY };
  const [counts, sums] = [new Float64Array(BINS), new Float64Array(BINS)];
  const total = users.reduce((sum, user) => sum + (residuals[user] as number), 0);
  for (const [feature, binOf] of bins.entries()) {
    counts.fill(0);
    sums.fill(0);
    for (const user of users) {
      const bin = binOf[user] as number;
      counts[bin] = (counts[bin] as number) + 1;
      sums[bin] = (sums[bin] as number) + (residuals[user] as number);
    }
    for (let bin = 0, low = 0, lowSum = 0; bin < BINS - 1; bin++) {
      low += counts[bin] as number;
      lowSum += sums[bin] as number;
      const high = users.length - low;
      if (low < LEAF_USERS || high < LEAF_USERS) continue;
      const gain = lowSum ** 2 / low + (total - lowSum) ** 2 / high;
      if (gain > best.gain) Object.assign(best, { feature, bin, gain });
    }
  }
  return best.feature < 0 ? null : best;
}
