/** Measures the settings of a search or a whole grid, and then measures the choice again. */
import { availableParallelism } from 'node:os';
import type { Cli } from '@tandem/commands/command';
import { measureSetting } from '@tandem/inference/profile/measure-setting';
import { searchSettings } from '@tandem/prediction/profile/search-settings';
import {
  allSettings,
  chooseSetting,
  type Grid,
  type LatencyTarget,
  type Measurement,
  type Setting,
  settingKey,
} from '@tandem/prediction/profile/settings';
import type { VersionToProfile } from './read-versions.ts';
import { nameSetting, renderSetting } from './render-profile.ts';

interface Measuring {
  readonly grid: Grid;
  readonly target: LatencyTarget;
  /** The setting of this environment. */
  readonly current: Setting | undefined;
  readonly memoryMb: number;
  /** Duration of the load for each setting. */
  readonly seconds: number;
  /** The deadline on the clock of `performance.now`. */
  readonly deadline: number;
  readonly isExhaustive: boolean;
}

/** A setting that could not be measured. */
interface NotMeasured {
  readonly setting: Setting;
  readonly why: string;
}

/**
 * The measurements. `confirmed` are settings that were measured again, including the choice; empty if the time was over
 * before. `isCut`: the time was over before the end. `searched` are the settings of a whole grid that the search would
 * have measured; null if no whole grid was measured.
 */
export type Results = Awaited<ReturnType<typeof measureAll>>;

/**
 * The number of best settings that are measured again, and for longer. The best of many measurements is partly luck, so
 * another setting may then be chosen.
 */
const CONFIRMED = 3;
const TIMES_LONGER = 3;

/** If this many settings of a version fail before any is measured, its other settings are skipped. */
const MOST_FAILED = 2;

/** Measures settings until the deadline. Rejects with the signal's reason if interrupted, and if no setting can be measured. */
export async function measureAll(
  cli: Cli,
  versions: readonly VersionToProfile[],
  { grid, target, current, memoryMb, seconds, deadline, isExhaustive }: Measuring,
) {
  const known = new Map<string, Measurement>();
  const failed = new Map<string, NotMeasured & { readonly error: unknown }>();
  let count = 0;

  function isHopeless({ version }: Setting): boolean {
    const ofVersion = ({ setting }: { readonly setting: Setting }) => setting.version === version;
    return ![...known.values()].some(ofVersion) && [...failed.values()].filter(ofVersion).length >= MOST_FAILED;
  }

  async function measure(setting: Setting, times = 1): Promise<Measurement | null> {
    const version = versions.find(({ record }) => record.number === setting.version);
    cli.signal.throwIfAborted();
    if (!version || performance.now() > deadline) return null;
    if (isHopeless(setting)) return noMeasurement(setting);
    const limits = { memoryLimitMb: memoryMb, loadMs: 1_000 * seconds * times, deadline, signal: cli.signal };
    const again = times > 1 ? ' (again)' : '';
    try {
      const found = await measureSetting(setting, version, limits);
      known.set(settingKey(setting), found);
      cli.stderr.write(`${String(++count).padStart(3)}  ${renderSetting(found)}${again}\n`);
      return found;
    } catch (error) {
      cli.signal.throwIfAborted();
      if (performance.now() > deadline) return null;
      const why = error instanceof Error ? error.message : String(error);
      known.delete(settingKey(setting));
      failed.set(settingKey(setting), { setting, why, error });
      cli.stderr.write(`${String(++count).padStart(3)}  ${nameSetting(setting)}: not measured${again}: ${why}\n`);
      return noMeasurement(setting);
    }
  }

  async function confirm(): Promise<readonly Measurement[]> {
    const confirmed = new Map<string, Measurement>();
    for (let i = 0; i < CONFIRMED; i++) {
      const choice = chooseSetting([...known.values()], target);
      if (choice === null || confirmed.has(settingKey(choice.setting))) break;
      const found = await measure(choice.setting, TIMES_LONGER);
      if (found === null) break;
      if (known.has(settingKey(found.setting))) confirmed.set(settingKey(found.setting), found);
    }
    return [...confirmed.values()];
  }

  const search = (by: (setting: Setting) => Promise<Measurement | null>) =>
    searchSettings({ grid, target, cores: availableParallelism(), current, measure: by });
  let isCut = false;
  if (isExhaustive) {
    for (const setting of current ? [current, ...allSettings(grid)] : allSettings(grid)) {
      isCut ||= !known.has(settingKey(setting)) && (await measure(setting)) === null;
    }
  } else ({ isCut } = await search(measure));
  const confirmed = await confirm();
  const [firstFailed] = failed.values();
  if (known.size === 0 && firstFailed) throw firstFailed.error;
  const recall = async (setting: Setting) => known.get(settingKey(setting)) ?? (isCut ? null : noMeasurement(setting));
  const searched = isExhaustive ? (await search(recall)).measured.filter((one) => one.throughput > 0) : null;
  const notMeasured = [...failed.values()].map(({ setting, why }) => ({ setting, why }));
  return { measured: [...known.values()], notMeasured, confirmed, isCut, searched };
}

/** Returns a measurement that a search ranks below every other. */
function noMeasurement(setting: Setting): Measurement {
  const never = Number.POSITIVE_INFINITY;
  const figures = { p50Ms: never, p99Ms: never, cpuMsPerThousand: never, memoryMb: never };
  return { setting, throughput: 0, ...figures, failed: 0, lost: never };
}
