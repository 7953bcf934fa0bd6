/**
 * Prints the cost of a simulated week and the lateness of its runs, with fixed numbers of workers and with autoscaling.
 */
import { parseArgs } from 'node:util';
import { weekOf } from './load.ts';
import { type Staff, simulate, USUAL_WORKER } from './simulate.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, weeks: { type: 'string', default: '1' } },
});

const STAFFS: readonly (readonly [string, Staff])[] = [
  ...[1, 2, 3, 4, 8].map((fixed) => [`${fixed} always`, { fixed }] as const),
  ['0..8', { min: 0, max: 8, holdSeconds: 300 }],
  ['1..8', { min: 1, max: 8, holdSeconds: 300 }],
];

for (let week = 0; week < Number(values.weeks); week++) {
  const seed = Number(values.seed) + week;
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
