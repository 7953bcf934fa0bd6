/**
 * Prints the cost of a simulated week and the lateness of its runs, with fixed numbers of workers and with autoscaling.
 */
import { MOST_SEED, readCommandLine, wholeNumber } from '../command-line.ts';
import { weekOf } from './load.ts';
import { type Staff, simulate, USUAL_WORKER } from './simulate.ts';

const HELP = `node scripts/run.mjs test/rigs/elastic/main.ts [options]
  --seed 1    of the first week; each further week has the next number
  --weeks 1   the weeks to simulate
`;

const OPTIONS = { seed: { type: 'string', default: '1' }, weeks: { type: 'string', default: '1' } } as const;

const { firstSeed, weeks } = readCommandLine(HELP, OPTIONS, (values) => ({
  firstSeed: wholeNumber('seed', values.seed, 0, MOST_SEED),
  weeks: wholeNumber('weeks', values.weeks, 1, 1_000),
}));

const STAFFS: readonly (readonly [string, Staff])[] = [
  ...[1, 2, 3, 4, 8].map((fixed) => [`${fixed} always`, { fixed }] as const),
  ['0..8', { min: 0, max: 8, holdSeconds: 300 }],
  ['1..8', { min: 1, max: 8, holdSeconds: 300 }],
];

for (let week = 0; week < weeks; week++) {
  const seed = firstSeed + week;
  const load = weekOf(seed);
  console.log(`\nseed ${seed}: ${load.runs.length} runs\n`);
  console.log('| workers | worker-hours | late runs | latest, min | median run, s | falls |');
  console.log('| ------- | -----------: | --------: | ----------: | ------------: | ----: |');
  for (const [name, staff] of STAFFS) {
    const { cost, late, latest, medianSeconds, falls } = simulate(load, USUAL_WORKER, staff);
    const figures = [(cost / 3_600).toFixed(0), late, (latest / 60).toFixed(0), medianSeconds, falls];
    console.log(`| ${[name, ...figures].join(' | ')} |`);
  }
}
