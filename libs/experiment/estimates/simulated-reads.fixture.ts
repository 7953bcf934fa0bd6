/**
 * Simulated reads of users with heavy-tailed activity, and the shares of experiments whose interval contains the truth.
 * Each experiment draws from its own seed.
 */
import { normalQuantile } from '../distributions/normal.ts';
import { createRandom } from '../distributions/random.ts';
import { estimate, meanOf, type UserSums } from './user-bootstrap.ts';

type Random = () => number;

/** The draws of each interval. */
const DRAWS = 200;

export function normal(random: Random): number {
  return normalQuantile((random() * (2 ** 32 - 1) + 0.5) / 2 ** 32);
}

const each = (users: number, readsOf: (rank: number) => number) =>
  Float64Array.from({ length: users }, (_, rank) => Math.max(1, Math.round(readsOf(rank))));
const logNormal = (sigma: number) => (random: Random, users: number) =>
  each(users, () => 5 * Math.exp(sigma * normal(random)));

/** The reads of each user. Pareto 1.5 has an infinite variance. */
export const LOADS = {
  pareto: (random: Random, users: number) => each(users, () => Math.floor((1 - random()) ** (-1 / 1.5))),
  logNormal1: logNormal(1),
  logNormal2: logNormal(2),
  zipf: (_: Random, users: number) => each(users, (rank) => users / (rank + 1)),
};

interface Gains {
  readonly truth: number;
  /** Returns the sum of the gains of a user with this many reads. */
  draw(random: Random, reads: number): number;
}

const noise = (random: Random, reads: number) => Math.sqrt(reads) * normal(random);
const LOG_LOSS = { rare: 0.1, frequent: 0.4, share: 0.3, base: 0.19 };

function logLossGain(chance: number, happened: boolean): number {
  return happened ? Math.log(chance / LOG_LOSS.base) : Math.log((1 - chance) / (1 - LOG_LOSS.base));
}

/** Gains of users: normal, skewed, and of the log-loss of a rare outcome. */
export const GAINS: Readonly<Record<'normal' | 'skewed' | 'logLoss' | 'ofRareReaders', Gains>> = {
  normal: { truth: 0.1, draw: (random, reads) => reads * (0.1 + normal(random)) + noise(random, reads) },
  skewed: {
    truth: Math.exp(0.125),
    draw: (random, reads) => reads * Math.exp(normal(random) / 2) + noise(random, reads),
  },
  logLoss: {
    truth: [LOG_LOSS.rare, LOG_LOSS.frequent].reduce((sum, chance) => {
      const share = chance === LOG_LOSS.rare ? 1 - LOG_LOSS.share : LOG_LOSS.share;
      return sum + share * (chance * logLossGain(chance, true) + (1 - chance) * logLossGain(chance, false));
    }, 0),
    draw(random, reads) {
      const chance = random() < LOG_LOSS.share ? LOG_LOSS.frequent : LOG_LOSS.rare;
      const size = Math.min(reads, 500);
      let sum = 0;
      for (let read = 0; read < size; read++) sum += logLossGain(chance, random() < chance);
      return (sum * reads) / size;
    },
  },
  /** The gain depends on activity: users with more than ten reads have none. The truth is that of Pareto activity. */
  ofRareReaders: {
    truth: 0.3 * paretoShare(10),
    draw: (random, reads) => reads * ((reads > 10 ? 0 : 0.3) + normal(random) / 2) + noise(random, reads),
  },
};

/** Returns the share of reads by users with at most this many reads, of users with Pareto 1.5 activity. */
function paretoShare(most: number): number {
  let reads = 0;
  for (let n = 1; n <= most; n++) reads += n * (n ** -1.5 - (n + 1) ** -1.5);
  // Riemann's zeta(1.5) is the mean number of reads.
  return reads / 2.612375348685488;
}

interface Simulation {
  readonly load: keyof typeof LOADS;
  readonly gains: keyof typeof GAINS;
  readonly users: number;
  readonly experiments: number;
}

export interface Coverage {
  /** The share of experiments with an interval; the others have not enough users. */
  readonly told: number;
  /** The share of these whose interval contains the truth. */
  readonly covered: number;
  /** The same for the percentile interval of the same experiments. */
  readonly percentile: number;
}

export function simulateCoverage({ load, gains, users, experiments }: Simulation): Coverage {
  const { truth, draw } = GAINS[gains];
  let [told, covered, percentile] = [0, 0, 0];
  for (let experiment = 0; experiment < experiments; experiment++) {
    const random = createRandom(7_919 * experiment + users);
    const counts = LOADS[load](random, users);
    const sums = { counts, sums: counts.map((reads) => draw(random, reads)) };
    const [figure] = estimate([meanOf(sums)], { counts, seed: experiment + 1, resamples: DRAWS });
    if (figure === undefined || Number.isNaN(figure.low)) continue;
    const [low, high] = percentileInterval(sums, experiment + 1);
    told++;
    if (figure.low <= truth && truth <= figure.high) covered++;
    if (low <= truth && truth <= high) percentile++;
  }
  return { told: told / experiments, covered: covered / told, percentile: percentile / told };
}

/** Returns the percentile interval, which is too narrow for heavy-tailed activity. */
export function percentileInterval({ sums, counts }: UserSums, seed: number, draws = DRAWS): readonly [number, number] {
  const random = createRandom(seed);
  const means = Float64Array.from({ length: draws }, () => {
    let [sum, reads] = [0, 0];
    for (let i = 0; i < counts.length; i++) {
      const user = Math.floor(random() * counts.length);
      sum += sums[user] ?? 0;
      reads += counts[user] ?? 0;
    }
    return sum / reads;
  }).sort();
  const at = (level: number) => means[Math.round(level * (draws - 1))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
