/**
 * `npm run test:faults`: every fault once, or what the arguments say. Ends with 1 where the checker found something, or
 * a control was not caught.
 *
 *   --only name[,name]  these faults, or those whose names begin so; with --controls, these controls
 *   --minutes N         faults chosen at random until N minutes are over
 *   --seed S            repeats the choices of that seed
 *   --controls          the negative controls instead: each must be caught
 *   --folder F          where servers and histories are put; kept where it is named
 */
import { randomInt } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type NamedFault, oneOf } from './catalogue/fault.ts';
import { findFaults } from './catalogue/faults.ts';
import { countViolations, reportOf } from './checker/report.ts';
import { findControls } from './plant/controls/catalogue.ts';
import { openSession } from './rig/session.ts';
import { tableOf, tryControl } from './try-controls.ts';

/** Between two faults: throughput has to be back, and the next has a baseline. */
const CALM_MS = 12_000;
const CAUGHT_WITHIN_MS = 120_000;
const SOUND_MS = 20_000;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    controls: { type: 'boolean', default: false },
    folder: { type: 'string' },
  },
});
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const names = values.only.split(',').filter(Boolean);

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function doControls(folder: string): Promise<boolean> {
  const results = [];
  for (const control of findControls(names)) {
    say(`${control.name}: ${control.what}`);
    const options = { seed, folder, withinMs: CAUGHT_WITHIN_MS, soundMs: SOUND_MS, say };
    results.push(await tryControl(control, options));
  }
  say(tableOf(results));
  return results.every(({ caughtBy, sound }) => caughtBy !== null && (sound?.violations ?? 0) === 0);
}

async function doFaults(folder: string): Promise<boolean> {
  const chosen = findFaults(names);
  const session = await openSession({ seed, folder });
  const failed: string[] = [];
  try {
    await pause(CALM_MS);
    for await (const fault of planOf(chosen, session.random)) {
      say(`${new Date().toISOString()} ${fault.name}: ${fault.what}`);
      await fault.run(session).catch((error: unknown) => void failed.push(`${fault.name}: ${error}`));
      await pause(CALM_MS);
    }
    await session.finish();
  } finally {
    await session.close();
  }
  say(reportOf(session.checker));
  for (const one of failed) say(`not as expected: ${one}`);
  return countViolations(session.checker) === 0 && failed.length === 0;
}

/** Each once, or at random for as long as it was asked for. */
function* planOf(chosen: readonly NamedFault[], random: () => number): Generator<NamedFault> {
  if (values.minutes === undefined) return yield* chosen;
  const endsAt = performance.now() + Number(values.minutes) * 60_000;
  while (performance.now() < endsAt) yield oneOf(chosen, random);
}

async function main(): Promise<void> {
  const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'tandem-faults-')));
  await mkdir(folder, { recursive: true });
  // Postgres' own account has to pass through.
  await chmod(folder, 0o755);
  say(`--seed ${seed}, in ${folder}`);
  const isGood = await (values.controls ? doControls(folder) : doFaults(folder));
  if (values.folder === undefined && isGood) await rm(folder, { recursive: true, force: true });
  process.exitCode = isGood ? 0 : 1;
}

// Their exit hooks end the servers.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
await main();
