/**
 * `npm test` runs every test on real Postgres and Redis, and checks types and lint at the same time. Arguments are
 * passed to vitest (`npm test -- libs/prediction`). The first line says where Postgres and Redis run; the last is `N
 * passed, N failed`. `npm run test:long` runs it with `--long`: only the tests that wait for minutes. `-t PATTERN` runs
 * only the tests whose names match a regular expression. `--times FILE` writes the seconds of each test file to a file,
 * the slowest first.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startVitest, type Vitest } from 'vitest/node';
import { chooseServers } from './containers/choose-servers.ts';
import { askEngine } from './containers/engine.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

/** The most bytes of output of turbo or biome. */
const MOST_SAID_BYTES = 16 * 2 ** 20;

interface Tally {
  passed: number;
  failed: number;
}

/** Checks types and lint while the tests run, and prints the output when they end. */
async function check(tally: Tally): Promise<void> {
  await Promise.all([
    runCheck(tally, 'biome', 'ci', '--colors=off', '.'),
    runCheck(tally, 'turbo', 'run', 'check:types'),
  ]);
}

async function runCheck(tally: Tally, program: string, ...args: string[]): Promise<void> {
  const started = performance.now();
  const ended = await new Promise<{ good: boolean; said: string }>((resolve) => {
    execFile(program, args, { maxBuffer: MOST_SAID_BYTES }, (error, out, err) =>
      resolve({ good: error === null, said: out + err }),
    );
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const verdict = ended.good ? 'ok' : `${ended.said}\nFAILED`;
  process.stdout.write(`${verdict}: ${program} (${seconds} s)\n`);
  tally[ended.good ? 'passed' : 'failed']++;
}

/** Prints the choice of servers as the first line. Returns false if there are none, because then no test can run. */
async function announceServers(): Promise<boolean> {
  try {
    const { sentence, postgres, redis } = await chooseServers(process.env, askEngine);
    process.stdout.write(`${sentence}\n`);
    // If no container is used, the projects do not ask the engine again.
    if (postgres.kind !== 'container' && redis.kind !== 'container') process.env.TEST_SERVERS = 'embedded';
    return true;
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}

async function test(tally: Tally, filters: string[]): Promise<void> {
  const project = isLong ? ['long'] : ['unit', 'integration', 'end to end'];
  const { testNamePattern } = options;
  const named = testNamePattern === undefined ? {} : { testNamePattern };
  const vitest = await startVitest('test', filters, { watch: false, run: true, project, ...named });
  for (const file of vitest.state.getTestModules()) {
    for (const one of file.children.allTests()) {
      const state = one.result().state;
      if (state === 'passed') tally.passed++;
      // A skipped test proves nothing, so it counts as a failure, unless the pattern excludes it.
      else if (state !== 'skipped' || testNamePattern === undefined) tally.failed++;
    }
    if (file.errors().length > 0) tally.failed++;
  }
  tally.failed += vitest.state.getUnhandledErrors().length;
  if (options.times !== undefined) writeTimes(vitest, options.times);
  await vitest.close();
}

/** Writes one line per test file: seconds of its tests and hooks, seconds of its imports and set-up, project, path. */
function writeTimes(vitest: Vitest, path: string): void {
  const lines = vitest.state.getTestModules().map((file) => {
    const { duration, collectDuration, setupDuration, prepareDuration, environmentSetupDuration } = file.diagnostic();
    const around = collectDuration + setupDuration + prepareDuration + environmentSetupDuration;
    return { duration, around, project: file.project.name, path: relative(root, file.moduleId) };
  });
  lines.sort((a, b) => b.duration + b.around - (a.duration + a.around));
  const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(2);
  const text = lines.map((line) => [seconds(line.duration), seconds(line.around), line.project, line.path].join('\t'));
  writeFileSync(path, `seconds\tset-up\tproject\tfile\n${text.join('\n')}\n`);
}

const { values: options, positionals: filters } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    long: { type: 'boolean', default: false },
    times: { type: 'string' },
    testNamePattern: { type: 'string', short: 't' },
  },
});
const tally: Tally = { passed: 0, failed: 0 };
const isLong = options.long;
if (await announceServers()) {
  const checked = filters.length === 0 && !isLong ? check(tally) : null;
  await test(tally, filters);
  await checked;
} else tally.failed++;
process.stdout.write(`${tally.passed} passed, ${tally.failed} failed\n`);
process.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
