/**
 * `npm run test:mutants` plants each mutant in a copy of the tree, runs the test files that must catch it,
 * and prints `caught` or `SURVIVED`. First the same files must pass on the unchanged copy, and the mutants must
 * compile.
 *
 * Exits with 0 if every mutant is caught, with 1 if a mutant survives, and with 2 if there is no result: a wrong name,
 * tests that fail without a mutant, or a mutant that does not compile. Logs stay in `.tandem/mutants/logs`; other files
 * are removed.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readCommandLine } from '../command-line.ts';
import type { Mutant } from './mutant.ts';
import { findMutants } from './mutants.ts';
import { createScratchTree, type ScratchTree } from './scratch-tree.ts';
import { provideServers } from './servers.ts';
import { type RunOptions, runCompiler, runTests } from './test-run.ts';

const checkout = resolve(import.meta.dirname, '../../..');
const folder = join(checkout, '.tandem/mutants');
const logs = join(folder, 'logs');
const logOf = (name: string) => join(logs, `${name}.log`);

/** The time limit for one mutant. The slowest takes 16 s on an idle machine with two cores. */
const MUTANT_LIMIT_MS = 180_000;
/** The time limit for all test files without a mutant, and for the compiler. */
const UNCHANGED_LIMIT_MS = 600_000;

const say = (line: string) => void process.stdout.write(`${line}\n`);

const HELP = `npm run test:mutants -- [names]
  names   of the mutants to plant, separated by spaces (default: all)
`;

type Where = Pick<RunOptions, 'root' | 'variables' | 'stopped'>;

/** Throws if the tests fail without a mutant, or if the mutants together do not compile. */
async function checkUnchanged(chosen: readonly Mutant[], tree: ScratchTree, where: Where): Promise<void> {
  const files = [...new Set(chosen.flatMap((mutant) => mutant.caughtBy))];
  const limitMs = UNCHANGED_LIMIT_MS;
  const tests = await runTests(files, { ...where, log: logOf('unchanged'), limitMs });
  if (!tests.passed) throw new Error(`the tests fail without a mutant: see ${logOf('unchanged')}`);
  say(`unchanged: ${files.length} test files pass (${tests.seconds.toFixed(1)} s)`);
  const restore = tree.plant(chosen);
  const types = await runCompiler({ ...where, log: logOf('types'), limitMs }).finally(restore);
  if (!types.passed) throw new Error(`the mutants do not compile: see ${logOf('types')}`);
  say(`types: all mutants together compile (${types.seconds.toFixed(1)} s)`);
}

/** Returns whether every test file of the mutant failed under it. */
async function isCaught(mutant: Mutant, tree: ScratchTree, where: Where): Promise<boolean> {
  const { name, caughtBy } = mutant;
  const restore = tree.plant([mutant]);
  const options = { ...where, log: logOf(name), limitMs: MUTANT_LIMIT_MS };
  const { failedFiles, timedOut, seconds } = await runTests(caughtBy, options).finally(restore);
  const caught = caughtBy.every((file) => failedFiles.has(file));
  const why = timedOut ? `: no result within ${MUTANT_LIMIT_MS / 1000} s` : '';
  say(
    `${caught ? 'caught  ' : 'SURVIVED'} ${name} (${seconds.toFixed(1)} s)${caught ? '' : `${why}: see ${logOf(name)}`}`,
  );
  return caught;
}

async function main(chosen: readonly Mutant[], stopped: AbortSignal): Promise<number> {
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs, { recursive: true });
  const tree = createScratchTree(checkout, join(folder, `copy-${process.pid}`));
  try {
    const servers = await provideServers(process.env);
    try {
      const where = { root: tree.root, variables: servers.variables, stopped };
      await checkUnchanged(chosen, tree, where);
      let caught = 0;
      for (const mutant of chosen) if (await isCaught(mutant, tree, where)) caught++;
      say(`${caught} caught, ${chosen.length - caught} survived`);
      return caught === chosen.length ? 0 : 1;
    } finally {
      await servers.stop();
    }
  } finally {
    tree.remove();
  }
}

const chosen = readCommandLine(HELP, {}, (_, names) => findMutants(names), { allowPositionals: true });
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));
}
try {
  process.exitCode = await main(chosen, stopping.signal);
} catch (error) {
  process.stderr.write(`mutants: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
