/**
 * `npm run test:faults`: every fault once, or what the arguments say. Ends with 1 where the checker found something, or
 * a control was not caught.
 *
 *   --only name[,name]  these faults, or those whose names begin so; with --controls, these controls
 *   --minutes N         faults chosen at random until N minutes are over
 *   --seed S            repeats the choices of that seed
 *   --users-per-read N  users of one read at most, 60 where it is left out: more answers are judged in the same time
 *   --watched           the load writes a watched application table only, and sends no event
 *   --pooler            each program reaches Postgres through a PgBouncer in transaction mode
 *   --controls          the negative controls instead: each must be caught, and nothing where it is not planted
 *   --record            adds what came of it to results.ndjson, and writes RESULTS.md of it
 *   --folder F          where servers and histories are put; kept where it is named
 */
import { randomInt } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type NamedFault, oneOf } from './catalogue/fault.ts';
import { findFaults, sendsEvents } from './catalogue/faults.ts';
import { countViolations, reportOf } from './checker/report.ts';
import { findControls } from './plant/controls/catalogue.ts';
import { faultRunOf, headOfRun, record } from './results.ts';
import { whyNoServerClocks } from './rig/server-clock.ts';
import type { Needs } from './rig/session.ts';
import { whyNoSmallDisk } from './rig/small-disk.ts';
import { isAsItShould, tableOf, tryControl } from './try-controls.ts';
import { tryFaults } from './try-faults.ts';

const CAUGHT_WITHIN_MS = 120_000;
const SOUND_MS = 20_000;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    'users-per-read': { type: 'string' },
    controls: { type: 'boolean', default: false },
    watched: { type: 'boolean', default: false },
    pooler: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    folder: { type: 'string' },
  },
});
const seed = wholeNumber('seed', values.seed) ?? randomInt(2 ** 31);
const minutes = wholeNumber('minutes', values.minutes);
const usersPerRead = wholeNumber('users-per-read', values['users-per-read']);
const names = values.only.split(',').filter(Boolean);

const say = (line: string) => void process.stdout.write(`${line}\n`);

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes a whole number, not ${JSON.stringify(text)}`);
}

async function doControls(folder: string): Promise<boolean> {
  const results = [];
  for (const control of findControls(names)) {
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
  const ordinary = able.filter(({ needs }) => needs !== 'small disk');
  const ofDisk = able.filter(({ needs }) => needs === 'small disk');
  let isGood = true;
  if (ordinary.length > 0) {
    isGood = await doSome({ folder: join(folder, 'ordinary'), plan: (random) => planOf(ordinary, random) });
  }
  if (ofDisk.length === 0 || minutes !== undefined) return isGood;
  return (await doSome({ folder: join(folder, 'small-disk'), plan: () => ofDisk, needs: 'small disk' })) && isGood;
}

/** What sends events of its own has nothing to say of a load without any. */
function chosenFaults(): readonly NamedFault[] {
  return findFaults(names).filter((fault) => !(values.watched && sendsEvents(fault)));
}

/** Those that can be done here; of the others it is said why not. */
async function skipUnable(chosen: readonly NamedFault[], folder: string): Promise<readonly NamedFault[]> {
  const whyNot: Record<Needs, string | null> = { 'small disk': null, 'server clocks': null };
  const isNeeded = (need: Needs) => chosen.some(({ needs }) => needs === need);
  if (isNeeded('small disk')) whyNot['small disk'] = await whyNoSmallDisk(folder);
  if (isNeeded('server clocks')) whyNot['server clocks'] = await whyNoServerClocks();
  return chosen.filter(({ name, needs }) => {
    const why = needs === undefined ? null : whyNot[needs];
    if (why !== null) say(`skipped ${name}: ${why}`);
    return why === null;
  });
}

async function doSome(order: Pick<Parameters<typeof tryFaults>[0], 'folder' | 'plan' | 'needs'>): Promise<boolean> {
  const startedAt = performance.now();
  const rates = usersPerRead === undefined ? {} : { usersPerRead };
  const result = await tryFaults({
    seed,
    say,
    isWatched: values.watched,
    throughPooler: values.pooler,
    rates,
    ...order,
  });
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
    values.watched && '--watched',
    values.pooler && '--pooler',
  ];
  return told.filter(Boolean).join(' ') || 'every fault once';
}

/** Each once, or at random for as long as it was asked for. */
function* planOf(chosen: readonly NamedFault[], random: () => number): Generator<NamedFault> {
  if (minutes === undefined) return yield* chosen;
  const endsAt = performance.now() + minutes * 60_000;
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
