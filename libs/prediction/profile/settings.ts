/** Settings of live inference, what was measured of them, and which one is best for a latency target. */

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
  /** Users for whom the model gave no answer. */
  readonly failed: number;
}

/** The longest p99 in ms that is wanted; null: any. */
export type LatencyTarget = number | null;

export function meetsTarget({ p99Ms }: Measurement, target: LatencyTarget): boolean {
  return target === null || p99Ms <= target;
}

/** Two throughputs that differ by less than this share are the same: a repetition differs by as much. */
const SAME = 0.03;

/**
 * Returns the measurement of the highest throughput within the target; of equal ones that with the least memory, then the
 * shortest p99. Where none is within it, the one with the shortest p99; null where there is none at all.
 */
export function chooseSetting(measured: readonly Measurement[], target: LatencyTarget): Measurement | null {
  const within = measured.filter((one) => meetsTarget(one, target));
  if (within.length === 0) return measured.toSorted((a, b) => a.p99Ms - b.p99Ms)[0] ?? null;
  const most = Math.max(...within.map(({ throughput }) => throughput));
  const equal = within.filter(({ throughput }) => throughput >= most * (1 - SAME));
  return equal.toSorted((a, b) => costOf(a) - costOf(b) || a.p99Ms - b.p99Ms)[0] ?? null;
}

/** Memory grows with processes, whatever noise a look at it has. */
function costOf({ setting: { processes, threads } }: Measurement): number {
  return processes * threads;
}

/** Whether the first is better than the second. */
export function isBetter(one: Measurement, other: Measurement, target: LatencyTarget): boolean {
  const [isWithin, isOtherWithin] = [meetsTarget(one, target), meetsTarget(other, target)];
  if (isWithin !== isOtherWithin) return isWithin;
  return isWithin ? one.throughput > other.throughput : one.p99Ms < other.p99Ms;
}

/** What a million predictions cost, of CPU alone. @param pricePerCpuHour in any currency */
export function costPerMillion({ cpuMsPerThousand }: Measurement, pricePerCpuHour: number): number {
  const cpuHours = (cpuMsPerThousand * 1_000) / 3_600_000;
  return cpuHours * pricePerCpuHour;
}

/** Memory held for a thousand predictions, in MB seconds. */
export function memoryPerThousand({ memoryMb, throughput }: Measurement): number {
  return (memoryMb * 1_000) / throughput;
}

/** Every combination; versions vary slowest. */
export function allSettings({ version, batch, processes, threads }: Grid): readonly Setting[] {
  return version.flatMap((v) =>
    threads.flatMap((t) =>
      processes.flatMap((p) => batch.map((b) => ({ version: v, batch: b, processes: p, threads: t }))),
    ),
  );
}
