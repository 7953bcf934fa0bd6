/** Ten times what live inference can do: what is refused and how early, what is answered in time, and how soon it is over. */
import { type ClosedLoopOptions, demandFrom, runClosedLoop } from './closed-loop.ts';
import { type OpenLoopResult, runOpenLoop } from './open-loop.ts';
import { STRICT } from './slow-predictors.ts';
import { describe, goodput, goodputBySecond, type Tally, tallyOf } from './tally.ts';

export interface SaturationOptions {
  readonly port: number;
  readonly users: number;
  readonly liveTimeoutMs: number;
  readonly seconds: number;
  readonly capacitySeconds: number;
  /** Times the capacity. */
  readonly factor: number;
  say(line: string): void;
}

export interface Saturation {
  /** Live answers a second in time: before and after the overload, the mean of both. */
  readonly capacity: number;
  /** The same under it. */
  readonly goodput: number;
  readonly overload: Tally;
  /** Seconds after the overload until live answers are as many as are asked for at half of the capacity; Infinity: not seen. */
  readonly recoverySeconds: number;
}

const MAX_CONNECTIONS = 2_000;
/** A few more than one run holds, so that a place never waits for a reader. */
const CAPACITY_READERS = 8;
const RECOVERY_SECONDS = 12;

export async function saturate(options: SaturationOptions): Promise<Saturation> {
  const { port, users, liveTimeoutMs, seconds, factor, say } = options;
  const request = demandFrom(STRICT, users);
  const before = await measureCapacity(options, request);
  const load = { port, request, maxConnections: MAX_CONNECTIONS, timeoutMs: 10_000 };
  say(`${Math.round(before * factor)} a second, ${factor} times as many, for ${seconds} s`);
  const result = await runOpenLoop({ ...load, ratePerSecond: before * factor, seconds });
  const overload = tallyOf(result);
  const good = goodput(result, 'live', liveTimeoutMs);
  say(`${describe(overload)}\n  live within ${liveTimeoutMs} ms: ${good.toFixed(1)} a second`);
  const calm = await runOpenLoop({ ...load, ratePerSecond: before / 2, seconds: RECOVERY_SECONDS });
  const recoverySeconds = recovered(calm, before / 2, liveTimeoutMs);
  say(`after it, half of the capacity: live answers by second ${goodputBySecond(calm, 'live', liveTimeoutMs)}`);
  const after = await measureCapacity(options, request);
  return { capacity: (before + after) / 2, goodput: good, overload, recoverySeconds };
}

async function measureCapacity(
  { port, liveTimeoutMs, capacitySeconds, say }: SaturationOptions,
  request: ClosedLoopOptions['request'],
): Promise<number> {
  const result = await runClosedLoop({ port, request, readers: CAPACITY_READERS, seconds: capacitySeconds });
  const found = goodput(result, 'live', liveTimeoutMs);
  const { kinds, all } = tallyOf(result);
  const others = [...kinds.values()].map(({ name, count }) => `${count} ${name}`).join(', ');
  say(`capacity: ${found.toFixed(1)} a second live in time (${others}; p99 ${all.p99.toFixed(1)} ms)`);
  return found;
}

/** The first second from which on nine in ten of what was asked were answered live in time. */
function recovered(result: OpenLoopResult, asked: number, withinMs: number): number {
  const seconds = goodputBySecond(result, 'live', withinMs);
  const last = seconds.findLastIndex((count) => count < asked * 0.9);
  return last + 1 < seconds.length ? last + 1 : Number.POSITIVE_INFINITY;
}
