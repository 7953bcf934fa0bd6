/**
 * `npm run test:faults`: every fault once, or what the arguments say. Ends with 1 where the checker found something, or
 * a control was not caught.
 *
 *   --only name[,name]  these faults, or those whose names begin so; with --controls, these controls
 *   --minutes N         faults in an order of chance until N minutes are over, each once before one comes again
 *   --seed S            repeats the choices of that seed
 *   --users-per-read N  users of one read at most, 60 where it is left out: more answers are judged in the same time
 *   --embedded SHARE    of the readers that ask the application with an embedded reader, 0.5 by default
 *   --watched           the load writes a watched application table only, and sends no event
 *   --pooler            each program reaches Postgres through a PgBouncer in transaction mode
 *   --managed           on a Postgres whose role owns its database alone, and may not read what names its history
 *   --cluster, --sentinel  cache and queue are a Redis Cluster, or a primary behind sentinels; its faults where --only is left out
 *   --standby           with a standby at an address of its own, and DATABASE_URL names both; its faults where --only is left out
 *   --controls          the negative controls instead: each must be caught, and nothing where it is not planted
 *   --record            adds what came of it to results.ndjson, and writes RESULTS.md of it
 *   --folder F          where servers and histories are put; kept where it is named
 */
import { randomInt } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    'users-per-read': { type: 'string' },
    embedded: { type: 'string', default: '0.5' },
    controls: { type: 'boolean', default: false },
    watched: { type: 'boolean', default: false },
    pooler: { type: 'boolean', default: false },
    managed: { type: 'boolean', default: false },
    standby: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: false },
    sentinel: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    folder: { type: 'string' },
  },
});
const seed = wholeNumber('seed', values.seed) ?? randomInt(2 ** 31);
const minutes = wholeNumber('minutes', values.minutes);
const embeddedShare = share('embedded', values.embedded);
const usersPerRead = wholeNumber('users-per-read', values['users-per-read']);
/** Each has a deployment of its own; `Needs` that are not among them are met by any. */
const SESSIONS = ['ordinary', 'small disk', 'standby', 'cluster', 'sentinel'] as const;
const chosenSession = (['standby', 'cluster', 'sentinel'] as const).find((name) => values[name]);
const names = values.only.split(',').filter(Boolean);

const say = (line: string) => void process.stdout.write(`${line}\n`);

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes a whole number, not ${JSON.stringify(text)}`);
}

function share(name: string, text: string): number {
  const found = Number(text);
  if (found >= 0 && found <= 1) return found;
  throw new Error(`--${name} takes a number from 0 to 1, not ${JSON.stringify(text)}`);
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
  let isGood = true;
  for (const needs of SESSIONS) {
    const some = able.filter((fault) => sessionOf(fault) === needs);
    if (some.length === 0) continue;
    const order = {
      folder: join(folder, needs.replace(' ', '-')),
      plan: (random: () => number) => planOf(some, random),
    };
    isGood = (await doSome(needs === 'ordinary' ? order : { ...order, needs })) && isGood;
    // So many minutes in all.
    if (minutes !== undefined) break;
  }
  return isGood;
}

/** Faults that share a deployment. */
function sessionOf({ needs }: NamedFault): (typeof SESSIONS)[number] {
  return chosenSession ?? SESSIONS.find((session) => session === needs) ?? 'ordinary';
}

/** What sends events of its own has nothing to say of a load without any. */
function chosenFaults(): readonly NamedFault[] {
  const isOfSession = ({ needs }: NamedFault) =>
    chosenSession === undefined || names.length > 0 || needs === chosenSession;
  return findFaults(names).filter((fault) => isOfSession(fault) && !(values.watched && sendsEvents(fault)));
}

/** Those that can be done here; of the others it is said why not. */
async function skipUnable(chosen: readonly NamedFault[], folder: string): Promise<readonly NamedFault[]> {
  const whyNot: Partial<Record<Needs, string | null>> = {};
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

/** Each once; for as long as it was asked for each once in an order of chance, then again in another. */
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
