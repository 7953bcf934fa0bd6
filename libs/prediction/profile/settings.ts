/** Settings of live inference, their measurements, and the choice of a setting for a latency target. */

export interface Setting {
  /** Number of the model version. */
  readonly version: number;
  /** The maximum number of users in a run: `INFERENCE_BATCH_LIMIT`. */
  readonly batch: number;
  /** Children of one API process: `INFERENCE_PROCESSES`. */
  readonly processes: number;
  /** Threads of a run in each child: `INFERENCE_THREADS`. */
  readonly threads: number;
}

/** Returns a text that is equal only for equal settings. */
export function settingKey({ version, batch, processes, threads }: Setting): string {
  return `${version} ${batch} ${processes} ${threads}`;
}

export function isSameSetting(one: Setting, other: Setting): boolean {
  return settingKey(one) === settingKey(other);
}

/** The values of each setting that a profile tries, in rising order. */
export type Grid = { readonly [K in keyof Setting]: readonly number[] };

/**
 * The measurement of a setting under full load: each child runs a batch, and enough users wait to fill its next batch.
 */
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
  /** The number of requests that the model did not answer. */
  readonly failed: number;
  /** The number of crashed children. A setting with crashes is chosen only if no other was measured. */
  readonly lost: number;
}

/** The longest acceptable p99 in ms; null: any. */
export type LatencyTarget = number | null;

export function meetsTarget({ p99Ms, lost }: Measurement, target: LatencyTarget): boolean {
  return lost === 0 && (target === null || p99Ms <= target);
}

/** Two throughputs that differ by less than this share count as equal, since repeated measurements differ as much. */
const SAME = 0.03;

/**
 * Returns the measurement with the highest throughput within the target; among equal throughputs, the fewest threads in
 * total, then the shortest p99. If none is within the target, returns the one with the shortest p99; null without
 * measurements.
 */
export function chooseSetting(measured: readonly Measurement[], target: LatencyTarget): Measurement | null {
  const within = measured.filter((one) => meetsTarget(one, target));
  if (within.length === 0) return measured.toSorted((a, b) => a.lost - b.lost || a.p99Ms - b.p99Ms)[0] ?? null;
  const most = Math.max(...within.map(({ throughput }) => throughput));
  const equal = within.filter(({ throughput }) => throughput >= most * (1 - SAME));
  return equal.toSorted((a, b) => costOf(a) - costOf(b) || a.p99Ms - b.p99Ms)[0] ?? null;
}

/** Returns the threads of all processes. They stand for memory and CPU, since measurements of those are noisy. */
function costOf({ setting: { processes, threads } }: Measurement): number {
  return processes * threads;
}

/** Returns whether the first measurement is better than the second. */
export function isBetter(one: Measurement, other: Measurement, target: LatencyTarget): boolean {
  const [isWithin, isOtherWithin] = [meetsTarget(one, target), meetsTarget(other, target)];
  if (isWithin !== isOtherWithin) return isWithin;
  return isWithin ? one.throughput > other.throughput : one.p99Ms < other.p99Ms;
}

/**
 * Returns the cost of a million predictions, for CPU alone.
 * @param pricePerCpuHour the price in any currency
 */
export function costPerMillion({ cpuMsPerThousand }: Measurement, pricePerCpuHour: number): number {
  const cpuHours = (cpuMsPerThousand * 1_000) / 3_600_000;
  return cpuHours * pricePerCpuHour;
}

/** Returns the memory held for a thousand predictions, in MB seconds. */
export function memoryPerThousand({ memoryMb, throughput }: Measurement): number {
  return (memoryMb * 1_000) / throughput;
}

/** Returns every combination of values; versions vary slowest. */
export function allSettings({ version, batch, processes, threads }: Grid): readonly Setting[] {
  return version.flatMap((v) =>
    threads.flatMap((t) =>
      processes.flatMap((p) => batch.map((b) => ({ version: v, batch: b, processes: p, threads: t }))),
    ),
  );
}
