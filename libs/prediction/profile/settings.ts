/** Settings of live inference, their measurements, and the choice for a latency target. */

export interface Setting {
  /** Number of the model version. */
  readonly version: number;
  /** Users of one run at most: `INFERENCE_BATCH_LIMIT`. */
  readonly batch: number;
  /** Children of one API process: `INFERENCE_PROCESSES`. */
  readonly processes: number;
  /** Threads of a run in each child: `INFERENCE_THREADS`. */
  readonly threads: number;
}

/** Returns a text that is the same for equal settings only. */
export function settingKey({ version, batch, processes, threads }: Setting): string {
  return `${version} ${batch} ${processes} ${threads}`;
}

export function isSameSetting(one: Setting, other: Setting): boolean {
  return settingKey(one) === settingKey(other);
}

/** The values that a profile tries of each setting, ascending. */
export type Grid = { readonly [K in keyof Setting]: readonly number[] };

/** A setting under full load: each child has a run under way, and as many users wait as fill its next one. */
export interface Measurement {
  readonly setting: Setting;
  /** Predictions a second. */
  readonly throughput: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU of the children and of the process that feeds them, in ms for a thousand predictions. */
  readonly cpuMsPerThousand: number;
  /** Resident memory of all children. */
  readonly memoryMb: number;
  /** Requests that the model gave no answer to. */
  readonly failed: number;
  /** Crashed children: such a setting is chosen only if no other was measured. */
  readonly lost: number;
}

/** The longest acceptable p99 in ms; null: any. */
export type LatencyTarget = number | null;

export function meetsTarget({ p99Ms, lost }: Measurement, target: LatencyTarget): boolean {
  return lost === 0 && (target === null || p99Ms <= target);
}

/** Two throughputs that differ by less than this share are the same: a repetition differs by as much. */
const SAME = 0.03;

/**
 * Returns the measurement of the highest throughput within the target; of equal ones that with the fewest threads in all, then
 * the shortest p99. Where none is within it, the one with the shortest p99; null if there is none at all.
 */
export function chooseSetting(measured: readonly Measurement[], target: LatencyTarget): Measurement | null {
  const within = measured.filter((one) => meetsTarget(one, target));
  if (within.length === 0) return measured.toSorted((a, b) => a.lost - b.lost || a.p99Ms - b.p99Ms)[0] ?? null;
  const most = Math.max(...within.map(({ throughput }) => throughput));
  const equal = within.filter(({ throughput }) => throughput >= most * (1 - SAME));
  return equal.toSorted((a, b) => costOf(a) - costOf(b) || a.p99Ms - b.p99Ms)[0] ?? null;
}

/** Returns the threads of all processes: they represent memory and CPU, whose measurements are noisy. */
function costOf({ setting: { processes, threads } }: Measurement): number {
  return processes * threads;
}

/** Returns whether the first is better than the second. */
export function isBetter(one: Measurement, other: Measurement, target: LatencyTarget): boolean {
  const [isWithin, isOtherWithin] = [meetsTarget(one, target), meetsTarget(other, target)];
  if (isWithin !== isOtherWithin) return isWithin;
  return isWithin ? one.throughput > other.throughput : one.p99Ms < other.p99Ms;
}

/** Returns the cost of a million predictions, for CPU alone. @param pricePerCpuHour in any currency */
export function costPerMillion({ cpuMsPerThousand }: Measurement, pricePerCpuHour: number): number {
  const cpuHours = (cpuMsPerThousand * 1_000) / 3_600_000;
  return cpuHours * pricePerCpuHour;
}

/** Returns the memory held for a thousand predictions, in MB seconds. */
export function memoryPerThousand({ memoryMb, throughput }: Measurement): number {
  return (memoryMb * 1_000) / throughput;
}

/** Returns every combination; versions vary slowest. */
export function allSettings({ version, batch, processes, threads }: Grid): readonly Setting[] {
  return version.flatMap((v) =>
    threads.flatMap((t) =>
      processes.flatMap((p) => batch.map((b) => ({ version: v, batch: b, processes: p, threads: t }))),
    ),
  );
}
