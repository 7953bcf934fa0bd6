/** Ten times what live inference can do: what is refused and how early, what is answered in time, and how soon it is over. */
import { cpuSecondsOf } from '../bench/process-usage.ts';
import { type ClosedLoopOptions, demandFrom, runClosedLoop } from './closed-loop.ts';
import { type OpenLoopResult, runOpenLoop } from './open-loop.ts';
import { STRICT } from './slow-predictors.ts';
import { describe, goodput, goodputBySecond, type Tally, tallyOf } from './tally.ts';

export interface SaturationOptions {
  readonly port: number;
  /** Of the service. */
  readonly pid: number;
  readonly users: number;
  readonly liveTimeoutMs: number;
  readonly seconds: number;
  readonly capacitySeconds: number;
  /** Times the capacity. */
  readonly factor: number;
  say(line: string): void;
}

export interface Rate {
  readonly aSecond: number;
  /** By the processor time that the service got, which on a shared machine is not a second each second. */
  readonly aCpuSecond: number;
}

export interface Saturation {
  /** Live answers in time: before and after the overload, the mean of both. */
  readonly capacity: Rate;
  /** The same under it. */
  readonly goodput: Rate;
  readonly overload: Tally;
  /** Seconds after the overload until live answers are as many as are asked for at half of the capacity; Infinity: not seen. */
  readonly recoverySeconds: number;
}

const MAX_CONNECTIONS = 2_000;
/** A few more than one run holds, so that a place never waits for a reader. */
const CAPACITY_READERS = 8;
const RECOVERY_SECONDS = 12;

export async function saturate(options: SaturationOptions): Promise<Saturation> {
  const { port, pid, users, liveTimeoutMs, seconds, factor, say } = options;
  const request = demandFrom(STRICT, users);
  const before = await measureCapacity(options, request);
  const load = { port, request, maxConnections: MAX_CONNECTIONS, timeoutMs: 10_000 };
  const rate = before.aSecond * factor;
  say(`${Math.round(rate)} a second, ${factor} times as many, for ${seconds} s`);
  const used = cpuSecondsOf([pid]);
  const result = await runOpenLoop({ ...load, ratePerSecond: rate, seconds });
  const good = rateOf(result, liveTimeoutMs, cpuSecondsOf([pid]) - used);
  const overload = tallyOf(result);
  say(`${describe(overload)}\n  live within ${liveTimeoutMs} ms: ${said(good)}`);
  const half = before.aSecond / 2;
  const calm = await runOpenLoop({ ...load, ratePerSecond: half, seconds: RECOVERY_SECONDS });
  const recoverySeconds = recovered(calm, half, liveTimeoutMs);
  say(`after it, half of the capacity: live answers by second ${goodputBySecond(calm, 'live', liveTimeoutMs)}`);
  const after = await measureCapacity(options, request);
  return { capacity: mean(before, after), goodput: good, overload, recoverySeconds };
}

async function measureCapacity(
  { port, pid, liveTimeoutMs, capacitySeconds, say }: SaturationOptions,
  request: ClosedLoopOptions['request'],
): Promise<Rate> {
  const used = cpuSecondsOf([pid]);
  const result = await runClosedLoop({ port, request, readers: CAPACITY_READERS, seconds: capacitySeconds });
  const found = rateOf(result, liveTimeoutMs, cpuSecondsOf([pid]) - used);
  const { kinds, all } = tallyOf(result);
  const others = [...kinds.values()].map(({ name, count }) => `${count} ${name}`).join(', ');
  say(`capacity: ${said(found)} live in time (${others}; p99 ${all.p99.toFixed(1)} ms)`);
  return found;
}

function rateOf(result: OpenLoopResult, withinMs: number, cpuSeconds: number): Rate {
  const aSecond = goodput(result, 'live', withinMs);
  return { aSecond, aCpuSecond: (aSecond * result.seconds) / cpuSeconds };
}

function mean(one: Rate, other: Rate): Rate {
  return {
    aSecond: (one.aSecond + other.aSecond) / 2,
    aCpuSecond: (one.aCpuSecond + other.aCpuSecond) / 2,
  };
}

function said({ aSecond, aCpuSecond }: Rate): string {
  return `${aSecond.toFixed(1)} a second, ${aCpuSecond.toFixed(1)} a CPU second`;
}

/** Other work on the machine may spoil a second now and then: so many in a row are enough. */
const STEADY_SECONDS = 3;

/** The first second from which on nine in ten of what was asked were answered live in time. */
function recovered(result: OpenLoopResult, asked: number, withinMs: number): number {
  const isGood = goodputBySecond(result, 'live', withinMs).map((count) => count >= asked * 0.9);
  const first = isGood.findIndex((_, at) => isGood.slice(at, at + STEADY_SECONDS).every(Boolean));
  return first >= 0 && first + STEADY_SECONDS <= isGood.length ? first : Number.POSITIVE_INFINITY;
}
