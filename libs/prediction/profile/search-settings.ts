/**
 * Finds the best setting of a grid without measuring all of it.
 *
 * Along each axis the throughput within a latency target rises to one peak and falls. Larger batches help until the
 * target or the cache limits them; processes help until the cores limit them. So the search climbs: it measures one
 * start for each version and number of threads, and climbs from the best start, one axis after the other, until no
 * neighbour is better. If the second best start is near, it climbs from there too, since there may be another peak.
 */
import { type Grid, isBetter, type LatencyTarget, type Measurement, type Setting, settingKey } from './settings.ts';

interface SearchOptions {
  readonly grid: Grid;
  readonly target: LatencyTarget;
  /** The cores that the children may use. A start has at most this many threads in total. */
  readonly cores: number;
  /** The current setting, which is measured first for comparison. */
  readonly current?: Setting | undefined;
  /** Measures a setting. Returns null when the time is over; no further setting is then measured. */
  measure(setting: Setting): Promise<Measurement | null>;
}

type Axis = keyof Setting;

/** A start is near the best start if its throughput is at least this share of the best. */
const NEAR = 0.7;
/** The batch size of the starts: batches of a few users show the cost of a version, and are within most targets. */
const START_BATCH = 16;

/** Settings that can replace each other: threads by processes, and processes by larger batches. */
const EXCHANGED: { readonly [K in Axis]?: Axis } = { threads: 'processes', processes: 'batch' };

class TimeOver extends Error {}

/** Returns the measurements in their order, and whether the time was over before the search ended. */
export async function searchSettings(options: SearchOptions) {
  const { grid, target, cores, current } = options;
  const known = new Map<string, Measurement>();

  async function measure(setting: Setting): Promise<Measurement> {
    const key = settingKey(setting);
    const found = known.get(key) ?? (await options.measure(setting));
    if (found === null) throw new TimeOver();
    known.set(key, found);
    return found;
  }

  /** Returns the neighbours on an axis, and the neighbours that exchange one setting for another. */
  function neighbours(setting: Setting, axis: Axis): readonly Setting[] {
    return (axis === 'batch' ? [2, -2, 1, -1] : [1, -1]).flatMap((step) => {
      const moved = move(grid, setting, axis, step);
      if (moved === null) return [];
      const other = EXCHANGED[axis];
      const exchanged = other === undefined ? null : move(grid, moved, other, -step);
      return exchanged === null ? [moved] : [moved, exchanged];
    });
  }

  async function climb(from: Measurement): Promise<Measurement> {
    let best = from;
    for (let isBetterFound = true; isBetterFound; ) {
      isBetterFound = false;
      for (const axis of ['batch', 'processes', 'threads', 'version'] as const) {
        for (const next of neighbours(best.setting, axis)) {
          const found = await measure(next);
          if (!isBetter(found, best, target)) continue;
          best = found;
          isBetterFound = true;
          break;
        }
      }
    }
    return best;
  }

  try {
    if (current !== undefined) await measure(current);
    const starts: Measurement[] = [];
    for (const setting of startsOf(grid, cores)) starts.push(await measure(setting));
    starts.sort((a, b) => (isBetter(a, b, target) ? -1 : 1));
    const [first, second] = starts;
    if (first) await climb(first);
    if (first && second && second.throughput >= NEAR * first.throughput) await climb(second);
    return { measured: [...known.values()], isCut: false };
  } catch (error) {
    if (!(error instanceof TimeOver)) throw error;
    return { measured: [...known.values()], isCut: true };
  }
}

/**
 * Returns a start for each version and number of threads, with a small batch and as many processes as fill the cores.
 */
function startsOf({ version, batch, processes, threads }: Grid, cores: number): readonly Setting[] {
  return version.flatMap((v) =>
    threads.map((t) => ({
      ...{ version: v, threads: t },
      processes: nearest(processes, Math.max(1, Math.floor(cores / t))),
      batch: nearest(batch, START_BATCH),
    })),
  );
}

function nearest(values: readonly number[], wanted: number): number {
  const [first = wanted] = values.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
  return first;
}

/** Returns the setting at the given number of steps on an axis; null beyond its ends. */
function move(grid: Grid, setting: Setting, axis: Axis, step: number): Setting | null {
  const at = grid[axis].indexOf(setting[axis]);
  const value = at < 0 ? undefined : grid[axis][at + step];
  return value === undefined ? null : { ...setting, [axis]: value };
}
