/**
 * `npm run test:mutants` plants each mutant in a copy of the tree, runs the tests that must catch it,
 * and prints `caught` or `SURVIVED`. First the same tests must pass on the unchanged copy, and the mutants must
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
import { findMutants, testsOf } from './mutants.ts';
import { createScratchTree, type ScratchTree } from './scratch-tree.ts';
import { provideServers } from './servers.ts';
import { hasFailed, isLong, type RunOptions, runCompiler, runTests } from './test-run.ts';

const checkout = resolve(import.meta.dirname, '../../..');
const folder = join(checkout, '.tandem/mutants');
const logs = join(folder, 'logs');
const logOf = (name: string) => join(logs, `${name}.log`);

/** The time limit for one mutant, for a mutant of a long test, and for a check of the unchanged copy. */
const LIMIT_MS = 240_000;
const LONG_LIMIT_MS = 480_000;
const UNCHANGED_LIMIT_MS = 1_800_000;

const say = (line: string) => void process.stdout.write(`${line}\n`);

const HELP = `npm run test:mutants -- [names] [--guarantee N]...
  names          of the mutants to plant, separated by spaces (default: all)
  --guarantee N  the mutants of this guarantee of docs/guarantees.md; may be repeated
`;

type Where = Pick<RunOptions, 'root' | 'variables' | 'stopped'>;

/** Throws if the tests fail without a mutant, or if the mutants together do not compile. */
async function checkUnchanged(chosen: readonly Mutant[], tree: ScratchTree, where: Where): Promise<void> {
  const limitMs = UNCHANGED_LIMIT_MS;
  const restore = tree.plant(chosen);
  const types = await runCompiler({ ...where, log: logOf('types'), limitMs }).finally(restore);
  if (!types.passed) throw new Error(`the mutants do not compile: see ${logOf('types')}`);
  say(`types: all mutants together compile (${types.seconds.toFixed(1)} s)`);
  const kinds = Map.groupBy(chosen.flatMap(testsOf), (test) =>
    test.title === null ? 'files' : isLong(test) ? 'long tests' : 'tests',
  );
  for (const [kind, tests] of kinds) {
    const log = logOf(`unchanged ${kind}`);
    const { passed, seconds } = await runTests(tests, { ...where, log, limitMs });
    if (!passed) throw new Error(`the ${kind} fail without a mutant: see ${log}`);
    say(`unchanged: the ${kind} pass (${seconds.toFixed(1)} s)`);
  }
}

/** Returns whether every test that must catch the mutant failed under it. */
async function isCaught(mutant: Mutant, tree: ScratchTree, where: Where): Promise<boolean> {
  const tests = testsOf(mutant);
  const log = logOf(mutant.name);
  const limitMs = tests.some(isLong) ? LONG_LIMIT_MS : LIMIT_MS;
  const restore = tree.plant([mutant]);
  const { failed, timedOut, seconds } = await runTests(tests, { ...where, log, limitMs }).finally(restore);
  const caught = tests.every((test) => hasFailed(test, failed));
  const of = 'guarantee' in mutant ? `guarantee ${mutant.guarantee}, ` : '';
  const why = timedOut ? `: no result within ${limitMs / 1000} s` : '';
  say(
    `${caught ? 'caught  ' : 'SURVIVED'} ${of}${mutant.name} (${seconds.toFixed(1)} s)${caught ? '' : `${why}: see ${log}`}`,
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

const chosen = readCommandLine(
  HELP,
  { guarantee: { type: 'string', multiple: true } },
  ({ guarantee = [] }, names) => findMutants(names, guarantee),
  { allowPositionals: true },
);
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
