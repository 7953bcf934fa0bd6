/** The scenarios and their goals. */
import { readBesideLive } from './cached-beside-live.ts';
import { type Held, holdConnections } from './held-connections.ts';
import { sendHerd } from './herd.ts';
import { flood } from './pipelined-requests.ts';
import { saturate } from './saturated-inference.ts';
import type { Slowness } from './slow-clients.ts';
import { gaugeSpeed } from './speed-gauge.ts';
import { describe, IN_TIME_MS, type Kind, type Tally } from './tally.ts';
import { type TightResult, withFiles, withMemory } from './tight-limits.ts';
import { SERVICE_PROCESSOR, type World } from './world.ts';

export interface Context {
  readonly world: World;
  readonly users: number;
  readonly liveTimeoutMs: number;
  readonly seconds: number;
  readonly factor: number;
  say(line: string): void;
}

export interface Goal {
  readonly what: string;
  readonly seen: string;
  readonly isMet: boolean;
}

export interface Scenario {
  readonly name: string;
  run(context: Context): Promise<readonly Goal[]>;
}

/** The rate of demanded inferences in the scenarios `memory`, `files` and `cached`. */
const LIVE_RATE = 600;
const CACHED_RATE = 500;
/** The seconds for which capacity is measured, before and after the overload. */
const CAPACITY_SECONDS = 10;
const HELD_CLIENTS = 2_000;
const HERD = 1_000;
const KINDS: readonly Slowness[] = ['silent', 'headers', 'body', 'idle'];
const MODELS_TURN_MS = 5;
const UNTAKING: readonly Slowness[] = ['unread', 'trickle'];
/**
 * The number of clients that do not read. Each requests about ten megabytes, so more clients would be a flood of
 * requests.
 */
const UNTAKING_CLIENTS = 20;
const AT_ONCE = 10_000;

export const scenarios: readonly Scenario[] = [
  { name: 'saturation', run: saturation },
  { name: 'cached', run: cached },
  { name: 'held', run: held },
  { name: 'pipelined', run: pipelined },
  { name: 'herd', run: herd },
  { name: 'memory', run: memory },
  { name: 'files', run: files },
];

async function saturation({ world, users, liveTimeoutMs, seconds, factor, say }: Context): Promise<Goal[]> {
  const api = await world.startApi();
  const gauge = await gaugeSpeed(SERVICE_PROCESSOR);
  const { port, pid } = api;
  const options = { port, pid, users, liveTimeoutMs, seconds, factor, gauge, capacitySeconds: CAPACITY_SECONDS, say };
  const { capacity, goodput, overload, recoverySeconds } = await saturate(options);
  gauge.stop();
  await stop(api);
  const share = goodput.byWork / capacity.byWork;
  const [byCpu, byClock] = [goodput.aCpuSecond / capacity.aCpuSecond, goodput.aSecond / capacity.aSecond];
  const shares = `${share.toFixed(2)} by work, ${byCpu.toFixed(2)} by CPU time, ${byClock.toFixed(2)} by the clock`;
  const refused = overload.kinds.get('503 overloaded');
  return [
    goal('goodput, of the capacity', shares, share >= 0.9),
    goal('p99 of refusals, ms', ms(refused), (refused?.p99 ?? Infinity) < liveTimeoutMs / 2),
    goal('refusals without Retry-After', `${overload.withoutRetryAfter}`, overload.withoutRetryAfter === 0),
    goal('seconds until recovery', `${recoverySeconds}`, recoverySeconds < 10),
    inTime(overload),
  ];
}

async function cached({ world, users, say }: Context): Promise<Goal[]> {
  const api = await world.startApi();
  const options = { port: api.port, users, liveRate: LIVE_RATE, cachedRate: CACHED_RATE, seconds: 8, rounds: 3 };
  const { alone, beside, throughput } = await readBesideLive(options);
  await stop(api);
  for (const tally of [...alone, ...beside]) say(describe(tally));
  const [calm, busy] = [middle(alone), middle(beside)];
  return [
    goal('fresh answers beside / alone', throughput.toFixed(3), throughput >= 0.95),
    goal('p99 of cached reads beside / alone, ms', `${ms(busy.all)} / ${ms(calm.all)}`, isUnharmed(busy.all, calm.all)),
    inTime(busy),
  ];
}

async function held({ world, say }: Context): Promise<Goal[]> {
  const goals: Goal[] = [];
  // Clients that do not read are tested separately, because another rule disconnects them.
  for (const kinds of [KINDS, UNTAKING]) {
    const api = await world.startApi();
    const clients = kinds === KINDS ? HELD_CLIENTS : UNTAKING_CLIENTS;
    const load = { clients, kinds, ratePerSecond: 200, seconds: 15 };
    const found = await holdConnections({ port: api.port, ...load });
    await stop(api);
    if (kinds.length > 1) say(`alone\n${describe(found.alone)}\nbeside\n${describe(found.beside)}`);
    goals.push(...heldGoals(`${clients} ${kinds.join(', ')}`, found));
  }
  return goals;
}

function heldGoals(who: string, { alone, beside, reapedSeconds }: Held): Goal[] {
  const ratio = beside.all.p99 / alone.all.p99;
  return [
    goal(`${who}: reaped after, s`, reapedSeconds.toFixed(1), reapedSeconds <= 10),
    goal(`${who}: p99 of others beside / alone, ms`, `${ms(beside.all)} / ${ms(alone.all)}`, ratio < 2),
  ];
}

async function pipelined({ world }: Context): Promise<Goal[]> {
  const api = await world.startApi();
  const found = await flood({ port: api.port, requests: AT_ONCE, ratePerSecond: 200, seconds: 15 });
  await stop(api);
  const { alone, beside, userIds, end, answers } = found;
  const inOrder = userIds.length > 0 && userIds.every((userId, i) => userId === `${i + 1}`);
  const ratio = beside.all.p99 / alone.all.p99;
  const few = userIds.length < AT_ONCE / 100 && answers.every((count) => count === userIds.length);
  return [
    goal(`${AT_ONCE} requests at once: answered in order`, `${userIds.length}, then ${end}`, inOrder && end === 'end'),
    goal(`${AT_ONCE} large ones, each second: answered`, answers.join(' '), few),
    goal(`${AT_ONCE} large ones: p99 of others beside / alone, ms`, `${ms(beside.all)} / ${ms(alone.all)}`, ratio < 2),
  ];
}

async function herd({ world }: Context): Promise<Goal[]> {
  const api = await world.startApi();
  const { kinds, inferences } = await sendHerd(api.url, api.port, HERD, '7');
  await stop(api);
  const seen = `${inferences}; ${JSON.stringify(kinds)}`;
  return [goal(`inferences for ${HERD} readers of one user`, seen, inferences === 1)];
}

async function memory({ world, users, say }: Context): Promise<Goal[]> {
  const load = { users, ratePerSecond: LIVE_RATE, seconds: 20, held: 500 };
  const found = await withMemory(world, 256, load);
  if (!found)
    return [goal('256 MB of memory', 'not measured: no memory cgroup (version 1) can be made on this machine', true)];
  say(describe(found.load));
  return tightGoals('256 MB', found);
}

async function files({ world, users, say }: Context): Promise<Goal[]> {
  const found = await withFiles(world, 64, { users, ratePerSecond: LIVE_RATE, seconds: 20, held: 500 });
  say(describe(found.load));
  const drops = found.readiness.some((said) => said.startsWith('not_ready'));
  return [...tightGoals('64 files', found), goal('64 files: readiness under load', found.readiness.join(' | '), drops)];
}

function tightGoals(limit: string, { alive, probes, hasEnded, afterwards, readiness }: TightResult): Goal[] {
  return [
    goal(`${limit}: the process`, hasEnded ? 'ended' : 'lives', !hasEnded),
    goal(`${limit}: /livez`, `${alive} of ${probes} (readiness: ${readiness.join(' | ')})`, alive >= probes * 0.95),
    goal(`${limit}: readiness afterwards`, afterwards, afterwards === 'ready'),
  ];
}

/**
 * Returns whether p99 is at most doubled, or longer by at most one call of the model, which occupies the shared core
 * for some ms.
 */
function isUnharmed(busy: Kind, calm: Kind): boolean {
  return busy.p99 <= Math.max(calm.p99 * 2, calm.p99 + MODELS_TURN_MS);
}

function inTime({ generatorP99 }: Tally): Goal {
  return goal("the generator's own lateness, p99, ms", generatorP99.toFixed(1), generatorP99 <= IN_TIME_MS);
}

function goal(what: string, seen: string, isMet: boolean): Goal {
  return { what, seen, isMet };
}

async function stop(api: { kill(signal: NodeJS.Signals): void; readonly ended: Promise<unknown> }): Promise<void> {
  api.kill('SIGKILL');
  await api.ended;
}

/** Returns the tally with the median p99. */
function middle(tallies: readonly Tally[]): Tally {
  const sorted = [...tallies].sort((a, b) => a.all.p99 - b.all.p99);
  return sorted[sorted.length >> 1] as Tally;
}

function ms(kind: Kind | undefined): string {
  return (kind?.p99 ?? Number.NaN).toFixed(1);
}
