/**
 * `npm run test:faults` injects every fault once, or the faults that the arguments select. Exits with 1 if the checker
 * found a violation, or did not catch a control.
 */
import { randomInt } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anyNumber, MOST_SEED, readCommandLine, wholeNumber } from '../command-line.ts';
import type { NamedFault } from './catalogue/fault.ts';
import { findFaults, sendsEvents } from './catalogue/faults.ts';
import { countViolations, reportOf } from './checker/report.ts';
import { shuffled } from './load/load-parts.ts';
import { findControls } from './plant/controls/catalogue.ts';
import { faultRunOf, headOfRun, record } from './results.ts';
import { whyNoServerClocks } from './rig/server-clock.ts';
import type { Needs } from './rig/session.ts';
import { whyNoSmallDisk } from './rig/small-disk.ts';
import { isAsItShould, tableOf, tryControl } from './try-controls.ts';
import { tryFaults } from './try-faults.ts';

const CAUGHT_WITHIN_MS = 120_000;
const SOUND_MS = 20_000;

const HELP = `npm run test:faults -- [options]
  --only <names>          only faults whose names begin with these names; with --controls, only these controls
  --minutes <number>      faults in random order for these minutes; no fault repeats before all have run
  --seed <number>         repeats the choices of that seed
  --users-per-read <n>    the most users of one read, default 60; a larger number judges more answers in the same time
  --embedded 0.5          the share of readers that use the application with an embedded reader
  --watched               the load changes only watched application tables and their schema, and sends no events
  --pooler                each program reaches Postgres through a PgBouncer in transaction mode
  --managed               a Postgres role that only owns its database, and may not read the names of its history
  --cluster, --sentinel   cache and queue are a Redis Cluster, or a primary behind sentinels; without --only: their faults
  --standby               with a standby at another address, and DATABASE_URL names both; without --only: its faults
  --controls              the negative controls: the checker must catch each, and find no violation without its plant
  --record                adds the results to results.ndjson, and writes RESULTS.md
  --folder <path>         the folder of servers and histories, which is then kept
`;

const flag = { type: 'boolean', default: false } as const;
const text = { type: 'string' } as const;
const OPTIONS = {
  ...{ only: text, minutes: text, seed: text, 'users-per-read': text, folder: text },
  embedded: { type: 'string', default: '0.5' } as const,
  ...{ controls: flag, watched: flag, pooler: flag, managed: flag, record: flag },
  ...{ standby: flag, cluster: flag, sentinel: flag },
};

const values = readCommandLine(HELP, OPTIONS, (given) => {
  const names = (given.only ?? '').split(',').filter(Boolean);
  const whole = (name: 'seed' | 'minutes' | 'users-per-read', least: number, most: number) => {
    const value = given[name];
    return value === undefined ? undefined : wholeNumber(name, value, least, most);
  };
  return {
    ...given,
    names,
    namedControls: given.controls ? findControls(names) : [],
    namedFaults: given.controls ? [] : findFaults(names),
    seed: whole('seed', 0, MOST_SEED) ?? randomInt(2 ** 31),
    minutes: whole('minutes', 1, 10_080),
    usersPerRead: whole('users-per-read', 1, 1_000),
    embeddedShare: anyNumber('embedded', given.embedded, 0, 1),
  };
});
const { names, seed, minutes, usersPerRead, embeddedShare } = values;

/** Sessions, each with its own deployment. Requirements that are not in this list can be met by any session. */
const SESSIONS = ['ordinary', 'small disk', 'standby', 'cluster', 'sentinel'] as const;
const chosenSession = (['standby', 'cluster', 'sentinel'] as const).find((name) => values[name]);

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function doControls(folder: string): Promise<boolean> {
  const results = [];
  for (const control of values.namedControls) {
    say(`${control.name}: ${control.what}`);
    const startedAt = performance.now();
    const options = { seed, folder, withinMs: CAUGHT_WITHIN_MS, soundMs: SOUND_MS, say };
    const result = await tryControl(control, options);
    results.push(result);
    if (values.record) record({ controls: [{ ...headOfRun(seed, startedAt), control: result }] });
  }
  say(tableOf(results));
  return results.every(isAsItShould);
}

async function doFaults(folder: string): Promise<boolean> {
  const able = await skipUnable(chosenFaults(), folder);
  let isGood = true;
  for (const needs of SESSIONS) {
    const some = able.filter((fault) => sessionOf(fault) === needs);
    if (some.length === 0) continue;
    const order = {
      folder: join(folder, needs.replace(' ', '-')),
      plan: (random: () => number) => planOf(some, random),
    };
    isGood = (await doSome(needs === 'ordinary' ? order : { ...order, needs })) && isGood;
    // With `--minutes`, the first session uses all the minutes.
    if (minutes !== undefined) break;
  }
  return isGood;
}

/** Returns the session in which a fault runs. */
function sessionOf({ needs }: NamedFault): (typeof SESSIONS)[number] {
  return chosenSession ?? SESSIONS.find((session) => session === needs) ?? 'ordinary';
}

/** Returns the chosen faults. A watched load skips faults that send events. */
function chosenFaults(): readonly NamedFault[] {
  const isOfSession = ({ needs }: NamedFault) =>
    chosenSession === undefined || names.length > 0 || needs === chosenSession;
  return values.namedFaults.filter((fault) => isOfSession(fault) && !(values.watched && sendsEvents(fault)));
}

/** Returns the faults that this machine can run, and reports why it skips the others. */
async function skipUnable(chosen: readonly NamedFault[], folder: string): Promise<readonly NamedFault[]> {
  const whyNot: Partial<Record<Needs, string | null>> = {};
  if (!values.watched) whyNot['watched tables'] = 'the option --watched was not given';
  const isNeeded = (need: Needs) => chosen.some(({ needs }) => needs === need);
  if (isNeeded('small disk')) whyNot['small disk'] = await whyNoSmallDisk(folder);
  if (isNeeded('server clocks')) whyNot['server clocks'] = await whyNoServerClocks();
  return chosen.filter(({ name, needs }) => {
    const why = needs === undefined ? null : (whyNot[needs] ?? null);
    if (why !== null) say(`skipped ${name}: ${why}`);
    return why === null;
  });
}

async function doSome(order: Pick<Parameters<typeof tryFaults>[0], 'folder' | 'plan' | 'needs'>): Promise<boolean> {
  const startedAt = performance.now();
  const rates = usersPerRead === undefined ? {} : { usersPerRead };
  const form = { isWatched: values.watched, throughPooler: values.pooler, isManaged: values.managed, embeddedShare };
  const result = await tryFaults({ seed, say, form, rates, ...order });
  if (values.record) record({ faultRuns: [faultRunOf(headOfRun(seed, startedAt), howItWasCalled(), result)] });
  say(reportOf(result.checker));
  for (const one of result.failed) say(`not as expected: ${one}`);
  return countViolations(result.checker) === 0 && result.failed.length === 0;
}

function howItWasCalled(): string {
  const told = [
    values.only && `--only ${values.only}`,
    minutes !== undefined && `--minutes ${minutes}`,
    usersPerRead !== undefined && `--users-per-read ${usersPerRead}`,
    embeddedShare !== 0.5 && `--embedded ${embeddedShare}`,
    values.watched && '--watched',
    values.pooler && '--pooler',
    values.managed && '--managed',
    chosenSession !== undefined && `--${chosenSession}`,
  ];
  return told.filter(Boolean).join(' ') || 'every fault once';
}

/** Yields each fault once. With `--minutes`, it yields all faults repeatedly, in another random order each time. */
function* planOf(chosen: readonly NamedFault[], random: () => number): Generator<NamedFault> {
  if (minutes === undefined) return yield* chosen;
  const endsAt = performance.now() + minutes * 60_000;
  while (performance.now() < endsAt) {
    for (const fault of shuffled(chosen, { next: random })) {
      if (performance.now() >= endsAt) return;
      yield fault;
    }
  }
}

async function main(): Promise<void> {
  const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'tandem-faults-')));
  await mkdir(folder, { recursive: true });
  // The account that runs Postgres must be able to enter the folder.
  await chmod(folder, 0o755);
  say(`--seed ${seed}, in ${folder}`);
  const isGood = await (values.controls ? doControls(folder) : doFaults(folder));
  if (values.folder === undefined && isGood) await rm(folder, { recursive: true, force: true });
  process.exitCode = isGood ? 0 : 1;
}

// The exit hooks of the servers end them.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
await main();
