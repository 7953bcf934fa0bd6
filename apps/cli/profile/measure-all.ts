/** Measures what a search asks for, or a whole grid, and then the choice again. */
import { availableParallelism } from 'node:os';
import { measureSetting } from '@tandem/inference/profile/measure-setting';
import { searchSettings } from '@tandem/prediction/profile/search-settings';
import {
  allSettings,
  chooseSetting,
  type Grid,
  type LatencyTarget,
  type Measurement,
  type Setting,
} from '@tandem/prediction/profile/settings';
import type { Cli } from '../command-line/command.ts';
import type { VersionToProfile } from './read-versions.ts';
import { renderSetting } from './render-profile.ts';

interface Measuring {
  readonly grid: Grid;
  readonly target: LatencyTarget;
  /** What this environment has. */
  readonly current: Setting | undefined;
  readonly memoryMb: number;
  /** Of load for each setting. */
  readonly seconds: number;
  /** On the clock of `performance.now`. */
  readonly deadline: number;
  readonly isExhaustive: boolean;
}

interface Results {
  readonly measured: readonly Measurement[];
  /** Whether the time was over before the end. */
  readonly isCut: boolean;
  /** What the search would have measured of a grid that was measured whole; null where it was not. */
  readonly searched: readonly Measurement[] | null;
}

/** The best of many measurements is partly luck: the choice is measured again, for longer, and may then give way to others. */
const CONFIRMED = 3;
const TIMES_LONGER = 3;

/** Rejects with the signal's reason when it is interrupted. */
export async function measureAll(
  cli: Cli,
  versions: readonly VersionToProfile[],
  { grid, target, current, memoryMb, seconds, deadline, isExhaustive }: Measuring,
): Promise<Results> {
  const known = new Map<string, Measurement>();
  let count = 0;

  async function measure(setting: Setting, times = 1): Promise<Measurement | null> {
    const version = versions.find(({ record }) => record.number === setting.version);
    cli.signal.throwIfAborted();
    if (!version || performance.now() > deadline) return null;
    const limits = { memoryLimitMb: memoryMb, loadMs: 1_000 * seconds * times, signal: cli.signal };
    const found = await measureSetting(setting, version, limits);
    known.set(keyOf(setting), found);
    cli.stderr.write(`${String(++count).padStart(3)}  ${renderSetting(found)}${times > 1 ? ' (again)' : ''}\n`);
    return found;
  }

  async function confirm(): Promise<void> {
    const confirmed = new Set<string>();
    for (let i = 0; i < CONFIRMED; i++) {
      const choice = chooseSetting([...known.values()], target);
      if (choice === null || confirmed.has(keyOf(choice.setting))) return;
      confirmed.add(keyOf(choice.setting));
      await measure(choice.setting, TIMES_LONGER);
    }
  }

  const search = (by: (setting: Setting) => Promise<Measurement | null>) =>
    searchSettings({ grid, target, cores: availableParallelism(), current, measure: by });
  let isCut = false;
  if (isExhaustive) {
    for (const setting of current ? [current, ...allSettings(grid)] : allSettings(grid)) {
      isCut ||= !known.has(keyOf(setting)) && (await measure(setting)) === null;
    }
  } else ({ isCut } = await search(measure));
  await confirm();
  const searched = isExhaustive ? await search(async (setting) => known.get(keyOf(setting)) ?? null) : null;
  return { measured: [...known.values()], isCut, searched: searched?.measured ?? null };
}

const keyOf = ({ version, batch, processes, threads }: Setting) => `${version} ${batch} ${processes} ${threads}`;
