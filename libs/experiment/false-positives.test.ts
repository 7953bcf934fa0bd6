/**
 * The promise behind every figure: with nothing to find, at most 5 % of 2,000 simulated experiments ever find something,
 * though they are looked at every day. Shares, sample ratios and whole verdicts have theirs in their own tests.
 */
import { describe, expect, it } from 'vitest';
import type { ArmSample } from './arm-sample.ts';
import { informationOf, logEvidenceAbove, logEvidenceOfDifference } from './confidence-sequence.ts';
import {
  addSamples,
  drawBinomial,
  drawMultinomial,
  drawNormal,
  drawSample,
  mostOf,
  type Random,
  randomFrom,
} from './draws.fixture.ts';
import { differenceOf, zOf } from './effect.ts';
import { fixedHorizonTest } from './fixed-horizon-test.ts';
import { stabilityIndex } from './stability-index.ts';

const ALPHA = 0.05;
const PROVEN = Math.log(1 / ALPHA);
const EXPERIMENTS = 2_000;
const DAYS = 28;

type Draw = (random: Random) => ArmSample;

const binary: Draw = (random) => {
  const events = drawBinomial(random, 200, 0.08);
  return { users: 200, sum: events, sumOfSquares: events };
};
const sums: Draw = (random) => drawSample(random, 200, 30, 60);
/** Nine of ten users have nothing; the others' values are lognormal, as purchases are. */
const purchases: Draw = (random) => {
  const buyers = drawBinomial(random, 200, 0.1);
  let [sum, sumOfSquares] = [0, 0];
  for (let buyer = 0; buyer < buyers; buyer++) {
    const value = Math.exp(3 + drawNormal(random));
    sum += value;
    sumOfSquares += value * value;
  }
  return { users: 200, sum, sumOfSquares };
};

type Rejects = (stable: ArmSample, arm: ArmSample) => boolean;

/** Of so many experiments without an effect, how many are ever rejected by each test. */
function everRejected(draw: Draw, tests: readonly Rejects[], experiments = EXPERIMENTS): number[] {
  const random = randomFrom(5);
  const found = tests.map(() => 0);
  for (let experiment = 0; experiment < experiments; experiment++) {
    const ever = new Set<Rejects>();
    let [stable, arm] = [draw(random), draw(random)];
    for (let day = 1; day < DAYS; day++) {
      stable = addSamples(stable, draw(random));
      arm = addSamples(arm, draw(random));
      for (const rejects of tests) if (rejects(stable, arm)) ever.add(rejects);
    }
    for (const [i, rejects] of tests.entries()) if (ever.has(rejects)) found[i] = (found[i] ?? 0) + 1;
  }
  return found;
}

const differs: Rejects = (stable, arm) => {
  const information = informationOf(stable.users + arm.users, ALPHA);
  return logEvidenceOfDifference(zOf(differenceOf(stable, arm)), information) >= PROVEN;
};

const isWorse: Rejects = (stable, arm) => {
  const information = informationOf(stable.users + arm.users, ALPHA);
  return logEvidenceAbove(-zOf(differenceOf(stable, arm)), information) >= PROVEN;
};

const differsByOneLook: Rejects = (stable, arm) => (fixedHorizonTest(stable, arm, ALPHA)?.pValue ?? 1) < ALPHA;

describe.each([
  ['a binary outcome', binary],
  ['a sum', sums],
  ['purchases, skewed and mostly nothing', purchases],
])('%s without an effect', (_, draw) => {
  it('is told to have one, or to be worse, in at most 5 % of experiments each', () => {
    for (const found of everRejected(draw, [differs, isWorse])) expect(found).toBeLessThan(mostOf(EXPERIMENTS, ALPHA));
  });
});

describe('a single-look test looked at daily', () => {
  it('finds what is not there far too often, which is why verdicts do not use it', () => {
    const experiments = 100;
    const [found] = everRejected(sums, [differsByOneLook], experiments);
    expect(found).toBeGreaterThan(mostOf(experiments, ALPHA));
  });
});

describe('a shift of the scores', () => {
  const stable = [0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05];
  const shifted = [0.03, 0.07, 0.15, 0.28, 0.24, 0.14, 0.09];
  /** Of the two populations, exactly. */
  const limit = shifted.reduce((sum, p, i) => sum + (p - (stable[i] ?? 1)) * Math.log(p / (stable[i] ?? 1)), 0);

  /** How many of so many experiments ever prove the index above the limit, and below it. */
  function proven(of: readonly number[], experiments: number): { above: number; below: number } {
    const random = randomFrom(8);
    const counted = { above: 0, below: 0 };
    for (let experiment = 0; experiment < experiments; experiment++) {
      const [ours, theirs] = [stable.map(() => 0), of.map(() => 0)];
      const ever = { above: false, below: false };
      for (let users = 300; users <= 300 * 14; users += 300) {
        for (const [i, count] of drawMultinomial(random, 300, stable).entries()) ours[i] = (ours[i] ?? 0) + count;
        for (const [i, count] of drawMultinomial(random, 300, of).entries()) theirs[i] = (theirs[i] ?? 0) + count;
        const index = stabilityIndex({ counts: ours, users }, { counts: theirs, users });
        if (index === null) throw new Error('no index');
        const z = (index.estimate - limit) / Math.sqrt(index.variance);
        ever.above ||= logEvidenceAbove(z, informationOf(2 * users, ALPHA)) >= PROVEN;
        ever.below ||= logEvidenceAbove(-z, informationOf(2 * users, ALPHA)) >= PROVEN;
      }
      if (ever.above) counted.above++;
      if (ever.below) counted.below++;
    }
    return counted;
  }

  it('of just the limit is proven above or below it in at most 5 % of experiments', () => {
    const { above, below } = proven(shifted, 600);
    expect(above).toBeLessThan(mostOf(600, ALPHA));
    expect(below).toBeLessThan(mostOf(600, ALPHA));
  });

  it('of nothing is soon proven to be below it, of twice as much above it', () => {
    expect(proven(stable, 100).below).toBeGreaterThan(95);
    const further = stable.map((_, i) => [0.01, 0.04, 0.1, 0.25, 0.28, 0.19, 0.13][i] ?? 0);
    expect(proven(further, 100).above).toBeGreaterThan(95);
  });
});
