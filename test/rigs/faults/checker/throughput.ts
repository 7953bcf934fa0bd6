/** Measures good answers per second, and checks that their rate recovers in time after each fault. */
import type { Fault, Operation } from '../history.ts';
import { createCpuShare } from './cpu-share.ts';
import type { Violations } from './violations.ts';

export interface ThroughputOptions {
  /** The share of the rate before the fault that counts as recovered. */
  readonly share?: number;
  /** The time limit for the recovery in milliseconds, for faults without their own limit. */
  readonly boundMs?: number;
}

export interface Recovery {
  readonly fault: string;
  readonly id: string;
  /** The median of good answers per second before the fault. */
  readonly before: number;
  /**
   * Milliseconds from the end of the fault to the recovery. Null if the rate did not recover in time, or before the
   * next fault.
   */
  readonly backAfterMs: number | null;
  /** Whether the next fault began or the load ended before the recovery and before the time limit. */
  readonly isOvertaken: boolean;
}

export interface Throughput {
  take(operation: Operation): void;
  /** Ends all waits. */
  finish(): void;
  readonly recoveries: readonly Recovery[];
  /** Returns whether the rate has not yet recovered from the last fault. */
  isAwaiting(): boolean;
  /** Returns the number of good answers in each second since the first operation. */
  rates(): readonly number[];
}

/** The seconds before a fault that form its baseline, and the fewest seconds of a baseline. */
const BASELINE_SECONDS = 20;
const FEWEST_SECONDS = 3;
/** The seconds for which the rate must stay high enough to count as recovered. */
const STEADY_SECONDS = 2;
/** The seconds over which the share of a CPU is measured, up to the judged second. */
const SHARE_SECONDS = 5;

interface Awaited {
  readonly fault: Fault;
  readonly before: number;
  /** The share of their runnable time for which the APIs had a CPU before the fault. */
  readonly cpuShare: number | null;
  /** The end of the fault, in seconds of this history; null until then. */
  over: number | null;
}

export function createThroughput(violations: Violations, options: ThroughputOptions = {}): Throughput {
  const { share = 0.5, boundMs = 10_000 } = options;
  const seconds: number[] = [];
  const disturbed = new Set<number>();
  const recoveries: Recovery[] = [];
  const cpu = createCpuShare();
  let start: number | null = null;
  /** The last second in which a read ended, with or without success: without requests there are no answers. */
  let lastAsked = 0;
  let awaited: Awaited[] = [];
  let open = 0;

  const secondOf = (time: number) => Math.max(0, Math.floor((time - (start ?? time)) / 1_000));

  function baseline(second: number): Pick<Awaited, 'before' | 'cpuShare'> | null {
    const calm: number[] = [];
    for (let one = second - 1; one >= 0 && calm.length < BASELINE_SECONDS; one--) {
      if (!disturbed.has(one)) calm.push(one);
    }
    if (calm.length < FEWEST_SECONDS) return null;
    const rates = calm.map((one) => seconds[one] ?? 0).sort((a, b) => a - b);
    return { before: rates[rates.length >> 1] ?? 0, cpuShare: cpu.of(calm) };
  }

  /** Returns the rate that counts as recovered. It is lower if other processes take the CPU that the APIs need. */
  function expected({ before, cpuShare }: Awaited, second: number): number {
    const now = cpu.of(Array.from({ length: SHARE_SECONDS }, (_, i) => second - i));
    const given = now === null || cpuShare === null ? 1 : Math.min(1, now / cpuShare);
    return before * share * given;
  }

  function takeFault(fault: Fault): void {
    const second = secondOf(fault.ended);
    if (fault.phase === 'begins') {
      // If two faults overlap, the recovery is measured from the later end.
      const known = baseline(second);
      for (const one of awaited) if (one.over !== null) overtake(one);
      open++;
      if (known !== null && known.before > 0) awaited.push({ fault, ...known, over: null });
    } else if (fault.phase === 'over') {
      open--;
      const mine = awaited.find((one) => one.fault.id === fault.id);
      if (open > 0) awaited = awaited.filter((one) => one !== mine);
      else if (mine) mine.over = (fault.ended - (start ?? 0)) / 1_000;
    }
  }

  function look(now: number): void {
    for (const one of awaited) {
      if (one.over === null) continue;
      const bound = (one.fault.recoversWithinMs ?? boundMs) / 1_000;
      const first = Math.ceil(one.over);
      const back = firstSteady(first, now - 1, one);
      if (back === null && now - 1 < one.over + bound + STEADY_SECONDS) continue;
      conclude(one, back === null || back - one.over > bound ? null : Math.max(0, back - one.over) * 1_000);
    }
  }

  function firstSteady(from: number, to: number, one: Awaited): number | null {
    for (let second = from; second + STEADY_SECONDS - 1 <= to; second++) {
      const both = Array.from({ length: STEADY_SECONDS }, (_, i) => second + i);
      if (both.every((each) => (seconds[each] ?? 0) >= expected(one, each))) return second;
    }
    return null;
  }

  function overtake(one: Awaited): void {
    awaited = awaited.filter((other) => other !== one);
    recoveries.push({
      fault: one.fault.name,
      id: one.fault.id,
      before: one.before,
      backAfterMs: null,
      isOvertaken: true,
    });
  }

  function conclude(one: Awaited, backAfterMs: number | null): void {
    awaited = awaited.filter((other) => other !== one);
    const { name, id } = one.fault;
    recoveries.push({ fault: name, id, before: one.before, backAfterMs, isOvertaken: false });
    if (backAfterMs !== null) return;
    const from = Math.floor(one.over ?? 0);
    const since = seconds.slice(from, from + 20);
    const cpuShares = { before: one.cpuShare, since: cpu.of(since.map((_, i) => from + i)) };
    violations.note('throughput not back', name, { fault: one.fault, before: one.before, since, cpuShares });
  }

  return {
    recoveries,
    isAwaiting: () => awaited.length > 0,
    rates: () => seconds,
    take(operation) {
      start ??= operation.at;
      const second = secondOf(operation.ended);
      if (seconds.length <= second) {
        while (seconds.length <= second) seconds.push(0);
        for (let one = second - 1; one >= 0 && open > 0 && !disturbed.has(one); one--) disturbed.add(one);
        if (awaited.length > 0) look(Math.min(second, lastAsked + 1));
      }
      if (open > 0) disturbed.add(second);
      if (operation.kind === 'process') cpu.take(operation, second);
      if (operation.kind === 'fault') takeFault(operation);
      else if (operation.kind === 'read') {
        lastAsked = second;
        seconds[second] = (seconds[second] ?? 0) + goodAnswers(operation);
      }
    },
    finish() {
      look(lastAsked);
      for (const one of awaited) overtake(one);
    },
  };
}

function goodAnswers({ status, answers }: Extract<Operation, { kind: 'read' }>): number {
  return status === 200 || status === 304 ? answers.length : 0;
}
