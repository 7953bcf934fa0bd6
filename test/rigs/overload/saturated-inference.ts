/**
 * Sends ten times the capacity of live inference. Measures how early requests are refused, how many are answered in time, and
 * how soon the service recovers.
 *
 * Capacity is measured before and after the overload. All rates are also given per CPU second of the service and per
 * unit of work of the gauge, because on a shared machine the service's CPU time and speed change from minute to minute.
 */
import { cpuSecondsOf } from '../bench/process-usage.ts';
import { type ClosedLoopOptions, demandFrom, runClosedLoop } from './closed-loop.ts';
import { type OpenLoopResult, runOpenLoop } from './open-loop.ts';
import { STRICT } from './slow-predictors.ts';
import type { SpeedGauge } from './speed-gauge.ts';
import { describe, goodput, goodputBySecond, type Tally, tallyOf } from './tally.ts';

export interface SaturationOptions {
  readonly port: number;
  /** The process id of the service. */
  readonly pid: number;
  readonly users: number;
  readonly liveTimeoutMs: number;
  readonly seconds: number;
  readonly capacitySeconds: number;
  /** The load, as a multiple of the capacity. */
  readonly factor: number;
  /** The gauge of the service's core. */
  readonly gauge: SpeedGauge;
  say(line: string): void;
}

export interface Rate {
  readonly aSecond: number;
  /** The rate per CPU second of the service, which gets less than one CPU second per second on a shared machine. */
  readonly aCpuSecond: number;
  /** The rate per CPU second divided by the core's speed at that time. It is comparable with rates at other times. */
  readonly byWork: number;
}

export interface Saturation {
  /** The rate of live answers in time without overload: the mean of the rates before and after. */
  readonly capacity: Rate;
  /** The rate of live answers in time under overload. */
  readonly goodput: Rate;
  readonly overload: Tally;
  /** Seconds after the overload until the service answers half of its capacity live, or Infinity if it does not. */
  readonly recoverySeconds: number;
}

const MAX_CONNECTIONS = 2_000;
/** Slightly more readers than the users of one batch, so that a batch never waits for a reader. */
const CAPACITY_READERS = 8;
const RECOVERY_SECONDS = 12;

export async function saturate(options: SaturationOptions): Promise<Saturation> {
  const { port, users, liveTimeoutMs, seconds, factor, say } = options;
  const request = demandFrom(STRICT, users);
  const before = await measureCapacity(options, request);
  const load = { port, request, maxConnections: MAX_CONNECTIONS, timeoutMs: 10_000 };
  const rate = before.aSecond * factor;
  say(`${Math.round(rate)} requests a second, ${factor} times the capacity, for ${seconds} s`);
  const { result, found: good } = await measure(options, () => runOpenLoop({ ...load, ratePerSecond: rate, seconds }));
  const overload = tallyOf(result);
  say(`${describe(overload)}\n  live within ${liveTimeoutMs} ms: ${said(good)}`);
  const half = before.aSecond / 2;
  const calm = await runOpenLoop({ ...load, ratePerSecond: half, seconds: RECOVERY_SECONDS });
  const recoverySeconds = recovered(calm, half, liveTimeoutMs);
  say(
    `after the overload, half of the capacity: live answers by second ${goodputBySecond(calm, 'live', liveTimeoutMs)}`,
  );
  const after = await measureCapacity(options, request);
  return { capacity: mean(before, after), goodput: good, overload, recoverySeconds };
}

async function measureCapacity(options: SaturationOptions, request: ClosedLoopOptions['request']): Promise<Rate> {
  const { port, capacitySeconds: seconds, say } = options;
  const load = { port, request, readers: CAPACITY_READERS, seconds };
  const { result, found } = await measure(options, () => runClosedLoop(load));
  const { kinds, all } = tallyOf(result);
  const others = [...kinds.values()].map(({ name, count }) => `${count} ${name}`).join(', ');
  say(`capacity: ${said(found)} live in time (${others}; p99 ${all.p99.toFixed(1)} ms)`);
  return found;
}

async function measure(
  { pid, liveTimeoutMs, gauge }: SaturationOptions,
  load: () => Promise<OpenLoopResult>,
): Promise<{ readonly result: OpenLoopResult; readonly found: Rate }> {
  const speed = gauge.begin();
  const before = cpuSecondsOf([pid]);
  const result = await load();
  const cpuSeconds = cpuSecondsOf([pid]) - before;
  const aSecond = goodput(result, 'live', liveTimeoutMs);
  const aCpuSecond = (aSecond * result.seconds) / cpuSeconds;
  return { result, found: { aSecond, aCpuSecond, byWork: aCpuSecond / speed() } };
}

function mean(one: Rate, other: Rate): Rate {
  const half = (of: keyof Rate) => (one[of] + other[of]) / 2;
  return { aSecond: half('aSecond'), aCpuSecond: half('aCpuSecond'), byWork: half('byWork') };
}

function said({ aSecond, aCpuSecond, byWork }: Rate): string {
  return `${aSecond.toFixed(1)} a second, ${aCpuSecond.toFixed(1)} a CPU second, ${byWork.toFixed(3)} per unit of work`;
}

/** The number of consecutive good seconds that count as recovery. Other work may disturb single seconds later. */
const STEADY_SECONDS = 3;

/** Returns the first of the consecutive seconds in which nine of ten requests were answered live in time. */
function recovered(result: OpenLoopResult, asked: number, withinMs: number): number {
  const isGood = goodputBySecond(result, 'live', withinMs).map((count) => count >= asked * 0.9);
  const first = isGood.findIndex((_, at) => isGood.slice(at, at + STEADY_SECONDS).every(Boolean));
  return first >= 0 && first + STEADY_SECONDS <= isGood.length ? first : Number.POSITIVE_INFINITY;
}
