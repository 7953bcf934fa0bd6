/** Computes the table of needed users of docs/experiments.md, with the interval of each figure. */
import { readFileSync } from 'node:fs';
import { bisect } from '@tandem/experiment/distributions/bisect';
import { expect, it } from 'vitest';
import { type BinaryEffect, type FoundBy, foundWith, singleLookUsers } from './needed-users.fixture.ts';

const EXPERIMENTS = 2_000;
const POWER = 0.8;
/** Half of the 95 % interval of a share of 0.8 of the experiments. */
const SPREAD = 1.96 * Math.sqrt((POWER * (1 - POWER)) / EXPERIMENTS);
const page = readFileSync(new URL('../../../../docs/experiments.md', import.meta.url), 'utf8');
const rows = page.split('\n').map((line) => line.replaceAll(/ +/g, ' '));

const EFFECTS = [
  [0.08, 0.1],
  [0.08, -0.1],
  [0.02, -0.2],
  [0.08, -0.3],
  [0.08, -0.5],
] as const;
const CASES = EFFECTS.flatMap(([p, effect]) => [0.5, 0.1, 0.01].map((share) => ({ p, effect, share })));

/** Returns the times as text, with the interval. */
function timesOf(by: FoundBy, one: BinaryEffect): string {
  const known = new Map<number, number>();
  const found = (times: number) => {
    const rounded = Math.round(times * 100) / 100;
    const count = known.get(rounded) ?? foundWith(rounded, by, one, EXPERIMENTS);
    known.set(rounded, count);
    return count / EXPERIMENTS;
  };
  const at = (power: number) => bisect((times) => found(times) < power, 1, 7).toFixed(1);
  return `${at(POWER)} (${at(POWER - SPREAD)} to ${at(POWER + SPREAD)})`;
}

it.each(CASES)('$p with an effect of $effect in an arm of $share needs the users of the page', (one) => {
  const users = Number(singleLookUsers(one).toPrecision(2)).toLocaleString('en');
  const split = `${Math.round(100 - 100 * one.share)}/${Math.round(100 * one.share)}`;
  const effect = `${one.effect > 0 ? '+' : '−'}${Math.abs(100 * one.effect)} %`;
  const times = (['ab', 'canary'] as const).map((by) => timesOf(by, one));
  expect(rows).toContain(`| ${100 * one.p} % | ${effect} | ${split} | ${users} | ${times.join(' | ')} |`);
});
