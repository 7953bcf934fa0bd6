/** The result of a profile: every measurement with its costs, the current setting, and the recommended one. */
import type { ModelVersionRecord } from '@tandem/offline-store/models/model-versions';
import {
  chooseSetting,
  costPerMillion,
  type Grid,
  isSameSetting,
  type LatencyTarget,
  type Measurement,
  meetsTarget,
  memoryPerThousand,
  type Setting,
} from '@tandem/prediction/profile/settings';
import type { Results } from './measure-all.ts';
import { isStable } from './read-versions.ts';

interface ProfileParts extends Results {
  readonly predictor: string;
  readonly versions: readonly ModelVersionRecord[];
  readonly cores: number;
  readonly cpu: string;
  /** The load average of the machine before the first measurement. */
  readonly loadBefore: number;
  /** The number of real users whose features the measurements use. */
  readonly users: number;
  readonly grid: Grid;
  readonly current: Setting | undefined;
  readonly target: LatencyTarget;
  readonly pricePerCpuHour: number | null;
}

export interface ProfileFigures extends Setting {
  /** `int8`, for example, if the version is an optimised build. */
  readonly build: string | null;
  readonly predictionsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerThousand: number;
  readonly memoryMb: number;
  /** Memory used for a thousand predictions, in MB times seconds. */
  readonly memoryMbSecondsPerThousand: number;
  /** The cost of a million predictions; null without a price. */
  readonly costPerMillion: number | null;
  readonly meetsTarget: boolean;
  readonly failed: number;
  /** The number of inference processes that crashed. */
  readonly lost: number;
}

export type ProfileReport = ReturnType<typeof createProfileReport>;

export function createProfileReport(parts: ProfileParts) {
  const { predictor, versions, cores, cpu, loadBefore, users, grid, current, target, pricePerCpuHour } = parts;
  const kinds = new Map(versions.map(({ number, build }) => [number, build?.kind ?? null]));
  const figures = (one: Measurement): ProfileFigures => ({
    ...one.setting,
    build: kinds.get(one.setting.version) ?? null,
    predictionsPerSecond: one.throughput,
    ...{ p50Ms: one.p50Ms, p99Ms: one.p99Ms, cpuMsPerThousand: one.cpuMsPerThousand, memoryMb: one.memoryMb },
    memoryMbSecondsPerThousand: memoryPerThousand(one),
    costPerMillion: pricePerCpuHour === null ? null : costPerMillion(one, pricePerCpuHour),
    ...{ meetsTarget: meetsTarget(one, target), failed: one.failed, lost: one.lost },
  });
  const chosen = (measured: readonly Measurement[]) => {
    const choice = chooseSetting(measured, target);
    return choice && figures(choice);
  };
  const measured = parts.measured.map(figures);
  // The current setting is measured even if the grid does not have it.
  const besideGrid = current !== undefined && !isInGrid(current, grid) ? 1 : 0;
  return {
    ...{ predictor, machine: { cpu, cores, loadBefore }, users, grid, pricePerCpuHour, isCut: parts.isCut },
    /** The number of settings in the grid. */
    combinations: grid.version.length * grid.batch.length * grid.processes.length * grid.threads.length + besideGrid,
    targetP99Ms: target,
    notMeasured: parts.notMeasured,
    /** The version that serves users outside rollouts; null if it was not profiled. */
    stable: versions.find(isStable)?.number ?? null,
    /** The highest throughput first. */
    measured: measured.toSorted((a, b) => b.predictionsPerSecond - a.predictionsPerSecond),
    /** The setting of this environment; null if it was not measured. */
    current: measured.find((one) => current !== undefined && isSameSetting(one, current)) ?? null,
    recommended: chosen(parts.confirmed.length > 0 ? parts.confirmed : parts.measured),
    /** The measurements and the choice of the search, for an exhaustive profile. */
    search: parts.searched && { measured: parts.searched.length, choice: chosen(parts.searched) },
  };
}

function isInGrid(setting: Setting, grid: Grid): boolean {
  return (['version', 'batch', 'processes', 'threads'] as const).every((name) => grid[name].includes(setting[name]));
}
