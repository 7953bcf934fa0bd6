/**
 * Simulates counts of reads and the reads of the next day, from a seed. Users are kept as `tandem.read_demand` keeps
 * them, and grouped as libs/offline-store/reads/read-demand.ts groups them: a test on Postgres compares both.
 */
import { HALF_LIFE_MS, RECENT_HALF_LIFE_MS, type WeightGroup } from './estimate-budget.ts';

export type Law = number | 'uniform' | 'lognormal' | 'two classes';

export interface Load {
  /** The exponent of Zipf's law, or another distribution of the users' rates. */
  readonly law: Law;
  /** Mean reads of a user and day. */
  readonly perDay: number;
  /** The share of users who exchange their rates each midnight, also before the next day. */
  readonly churn?: number;
  readonly users?: number;
  readonly days?: number;
  /** The number of reads in a visit. */
  readonly visit?: number;
  readonly seed: number;
}

const DAY_MS = 86_400_000;
const HALF_LIFE = HALF_LIFE_MS / DAY_MS;
const RECENT = RECENT_HALF_LIFE_MS / DAY_MS;

/** Returns a generator of uniform numbers from 0 to 1: mulberry32 (Tommy Ettinger, public domain). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws a Poisson number by the waiting times between events. */
function drawPoisson(random: () => number, mean: number): number {
  let count = 0;
  const wait = () => -Math.log1p(-random());
  for (let at = wait(); at < mean; at += wait()) count++;
  return count;
}

function shuffle(values: Float64Array, random: () => number, share = 1): void {
  const places = [...values.keys()].filter(() => share === 1 || random() < share);
  for (let i = places.length - 1; i > 0; i--) {
    const [a, b] = [places[i] ?? 0, places[Math.floor(random() * (i + 1))] ?? 0];
    [values[a], values[b]] = [values[b] ?? 0, values[a] ?? 0];
  }
}

/** Returns the share of each user in all reads. */
function drawRates(law: Law, users: number, random: () => number): Float64Array {
  const rate = (rank: number) => {
    if (typeof law === 'number') return (rank + 1) ** -law;
    if (law === 'uniform') return 1;
    if (law === 'two classes') return rank < users / 10 ? 10 : 1;
    return Math.exp(1.5 * Math.sqrt(-2 * Math.log1p(-random())) * Math.cos(2 * Math.PI * random()));
  };
  const rates = Float64Array.from({ length: users }, (_, rank) => rate(rank));
  shuffle(rates, random);
  const sum = rates.reduce((a, b) => a + b);
  return rates.map((one) => one / sum);
}

/** The row of a user at the end of the last day; weights as of then. */
interface Row {
  weight: number;
  recent: number;
  day: number;
  before: number;
  sampledDay: number;
  sampled: number;
}

export interface Simulated {
  readonly rows: readonly Row[];
  /** The share of each user in the expected reads of the next day. */
  readonly next: Float64Array;
  readonly days: number;
  readonly counted: number;
  /** The expected reads of the next day. */
  readonly expected: number;
}

export function simulateReads(load: Load): Simulated {
  const { law, perDay, churn = 0, users = 10_000, days = 14, visit = 1, seed } = load;
  const random = randomFrom(seed);
  const next = drawRates(law, users, random);
  const rows = Array.from({ length: users }, () => {
    return { weight: 0, recent: 0, day: -1, before: 0, sampledDay: -1, sampled: 0 };
  });
  let counted = 0;
  for (let day = 0; day < days; day++) {
    for (const [i, row] of rows.entries()) {
      const visits = drawPoisson(random, (perDay * users * (next[i] ?? 0)) / visit);
      for (let n = 0; n < visits; n++) countRead(row, day, visit, days - day - random(), random());
      counted += visits * visit;
    }
    if (churn > 0) shuffle(next, random, churn);
  }
  return { rows, next, days, counted, expected: perDay * users };
}

function countRead(row: Row, day: number, reads: number, age: number, drawn: number): void {
  if (row.day !== day) row.before = row.weight;
  row.day = day;
  row.weight += reads * 2 ** (-age / HALF_LIFE);
  const recent = reads * 2 ** (-age / RECENT);
  row.recent += recent;
  if (drawn < recent / row.recent) [row.sampledDay, row.sampled] = [day, row.before];
}

/** Groups the rows as the statement on Postgres does. */
export function groupRows({ rows, days }: Simulated): readonly WeightGroup[] {
  const total = rows.reduce((sum, { weight }) => sum + weight, 0);
  const sinhRatio = (halfLife: number) => Math.sinh(Math.LN2 / (2 * halfLife)) / (Math.LN2 / (2 * halfLife));
  const ofDay = new Float64Array(days);
  for (const { recent, sampledDay: day } of rows) {
    const toWeight = 2 ** ((days - day - 0.5) * (1 / RECENT - 1 / HALF_LIFE));
    if (recent > 0) ofDay[day] = (ofDay[day] ?? 0) + (recent * toWeight * sinhRatio(HALF_LIFE)) / sinhRatio(RECENT);
  }
  const groups = new Map<number, { -readonly [Key in keyof WeightGroup]: WeightGroup[Key] }>();
  const groupOf = (weight: number) => {
    const level = weight > 0.001 ? Math.floor(Math.log2(weight) * 16) : Number.NEGATIVE_INFINITY;
    const group = groups.get(level) ?? {
      isCounted: weight > 0.001,
      users: 0,
      reads: 0,
      readers: 0,
      squares: 0,
      frequent: 0,
    };
    groups.set(level, group);
    return group;
  };
  for (const { weight, recent, sampledDay, sampled } of rows) {
    if (recent === 0) continue;
    groupOf(weight).users++;
    const history = total - ofDay.subarray(sampledDay).reduce((a, b) => a + b, 0);
    if (history < 0.8 * total * 2 ** ((sampledDay - days) / HALF_LIFE)) continue;
    const group = groupOf((sampled / history) * total);
    group.reads += recent;
    group.readers -= Math.expm1((-recent * Math.LN2) / RECENT);
    group.squares += recent ** 2;
    group.frequent += Number(recent >= 4);
  }
  return [...groups].sort(([a], [b]) => b - a).map(([, group]) => group);
}

export interface TrueShares {
  /** The share of the next day's expected reads by the most read users, and by the users with the highest rates. */
  readonly reads: number;
  readonly best: number;
  /** The share of the expected readers until the end of the next day. */
  readonly readers: number;
  /** The share of the weights: chosen and estimated by the same counts. */
  readonly ofWeights: number;
}

/** Returns what a budget covers. A budget for more users than have counts chooses the others at random. */
export function trueShares({ rows, next, expected }: Simulated, chosen: number): TrueShares {
  const order = [...rows.keys()].sort((a, b) => (rows[b]?.weight ?? 0) - (rows[a]?.weight ?? 0));
  const counted = rows.reduce((n, { weight }) => n + Number(weight > 0), 0);
  const partOf = (rank: number) => {
    if (rank < counted) return Number(rank < chosen);
    return Math.max(0, (chosen - counted) / (rows.length - counted));
  };
  const found = { reads: 0, readers: 0, weights: 0 };
  for (const [rank, i] of order.entries()) {
    found.reads += partOf(rank) * (next[i] ?? 0);
    found.readers += partOf(rank) * -Math.expm1(-expected * (next[i] ?? 0));
    found.weights += partOf(rank) * (rows[i]?.weight ?? 0);
  }
  const best = Float64Array.from(next).sort().reverse().subarray(0, chosen);
  return {
    reads: found.reads,
    best: best.reduce((a, b) => a + b, 0),
    readers: found.readers / next.reduce((sum, rate) => sum - Math.expm1(-expected * rate), 0),
    ofWeights: found.weights / rows.reduce((sum, { weight }) => sum + weight, 0),
  };
}
