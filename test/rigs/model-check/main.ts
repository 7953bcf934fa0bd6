/**
 * Prints the model check as a table: every model with its scopes, then each negative control with its violation.
 * Exits with 1 if the protocol is broken, if a scope was not finished, or if a control was not found.
 */
import { readCommandLine } from '../command-line.ts';
import type { Exploration } from './checker/explore.ts';
import { type Check, LARGE, SMALL } from './checks.ts';
import { CONTROLS } from './controls.ts';

const HELP = `node scripts/run.mjs test/rigs/model-check/main.ts [options]
  --small    explore small scopes; the larger ones take minutes
  --traces   print the shortest trace to each control's violation
`;

const OPTIONS = { small: { type: 'boolean' }, traces: { type: 'boolean' } } as const;

const values = readCommandLine(HELP, OPTIONS, (chosen) => chosen);
let isGood = true;

function row(cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

function figures({ states, transitions, depth, seconds }: Exploration): string[] {
  return [states, transitions, depth].map((one) => one.toLocaleString('en')).concat(seconds.toFixed(1));
}

function printTrace(trace: readonly string[]): void {
  for (const [i, line] of trace.entries()) process.stdout.write(`    ${i + 1}. ${line}\n`);
}

function printCheck({ name, scope, explore }: Check): void {
  const found = explore();
  const { violation, isComplete } = found;
  isGood &&= isComplete && violation === null;
  row([name, scope, ...figures(found), violation?.what ?? (isComplete ? 'holds' : 'not finished')]);
  if (violation) printTrace(violation.trace);
}

row(['model', 'scope', 'states', 'transitions', 'depth', 'CPU s', 'result']);
row(['---', '---', '--:', '--:', '--:', '--:', '---']);
for (const check of values.small ? SMALL : LARGE) printCheck(check);
process.stdout.write('\n');
row(['control', 'breaks', 'steps', 'states', 'found']);
row(['---', '---', '--:', '--:', '---']);
for (const { id, breaks, isHarmless = false, explore } of CONTROLS) {
  const { violation, states, isComplete } = explore();
  isGood &&= isHarmless ? isComplete && violation === null : violation !== null;
  row([id, breaks, violation?.trace.length ?? '', states, violation?.what ?? 'nothing']);
  if (values.traces && violation) printTrace(violation.trace);
}
process.exitCode = isGood ? 0 : 1;
