import { expect, it } from 'vitest';
import recorded from './recorded-profile.fixture.json' with { type: 'json' };
import { searchSettings } from './search-settings.ts';
import { allSettings, chooseSetting, type Grid, type Measurement, type Setting, settingKey } from './settings.ts';

const GRID: Grid = {
  version: [1, 2],
  batch: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  processes: [1, 2, 3, 4, 6, 8],
  threads: [1, 2, 4],
};

interface Machine {
  readonly cores: number;
  /** The cost of a run in ms by version: a fixed part, and a part for each user. */
  readonly runMs: Readonly<Record<number, readonly [fixed: number, aUser: number]>>;
  /**
   * The number of users above which a run's working set no longer fits the cache. A user then costs half as much again.
   */
  readonly cached: number;
  /** Share of a run that threads can share. */
  readonly parallel: number;
  /** The milliseconds that the feeding process needs for a user, which limit cheap models. */
  readonly feedMs: number;
}

/** Returns what a machine with these laws would measure, with 3 % of noise that is the same for equal settings. */
function simulate(machine: Machine, setting: Setting): Measurement {
  const { version, batch, processes, threads } = setting;
  const [fixed, aUser] = machine.runMs[version] ?? [0, 0];
  const alone = fixed + batch * aUser * (batch > machine.cached ? 1.5 : 1);
  const spread = 1 - machine.parallel + machine.parallel / Math.min(threads, machine.cores);
  const crowd = Math.max(1, (processes * threads) / machine.cores);
  const run = alone * spread * crowd;
  const throughput = Math.min((processes * batch * 1000) / run, 1000 / machine.feedMs) * noise(setting, 1);
  const waitMs = (2000 * batch * processes) / throughput;
  return {
    ...{ setting, throughput, failed: 0, lost: 0, memoryMb: 80 * processes },
    p50Ms: waitMs,
    p99Ms: waitMs * 1.2 * noise(setting, 2),
    cpuMsPerThousand: (1000 * alone) / batch,
  };
}

function noise({ version, batch, processes, threads }: Setting, salt: number): number {
  const x = Math.sin(version * 12.9898 + batch * 78.233 + processes * 37.719 + threads * 4.581 + salt) * 43_758.5453;
  return 0.97 + 0.06 * (x - Math.floor(x));
}

const TREES: Machine = {
  ...{ cores: 4, parallel: 0.1, feedMs: 0.01, cached: 1_000 },
  runMs: { 1: [0.15, 0.04], 2: [0.15, 0.1] },
};
const NETWORK: Machine = {
  ...{ cores: 8, parallel: 0.9, feedMs: 0.01, cached: 64 },
  runMs: { 1: [4, 1.2], 2: [3, 0.5] },
};
const TINY: Machine = {
  ...{ cores: 2, parallel: 0, feedMs: 0.02, cached: 1_000 },
  runMs: { 1: [0.05, 0.002], 2: [0.05, 0.003] },
};
const CASES = Object.entries({ TREES, NETWORK, TINY }).flatMap(([name, machine]) =>
  [null, 2, 5, 20, 100].map((target) => [name, target, machine] as const),
);

it.each(CASES)(
  '%s, p99 %s ms: the choice is within 10 %% of the grid’s best, with less than 40 %% of its measurements',
  async (_, target, machine) => {
    const everything = allSettings(GRID).map((setting) => simulate(machine, setting));
    const best = chooseSetting(everything, target);
    const { measured, isCut } = await searchSettings({
      ...{ grid: GRID, target, cores: machine.cores },
      measure: async (setting) => simulate(machine, setting),
    });
    const choice = chooseSetting(measured, target);
    expect(isCut).toBe(false);
    expect(measured.length).toBeLessThan(0.4 * everything.length);
    expectWithin10Percent(choice, best, target);
  },
);

/** The measurements of `tandem profile --exhaustive` on two busy cores, for dense networks of 256 and 512 units. */
const RECORDED: readonly Measurement[] = recorded.rows.map((row) => {
  const [version = 0, batch = 0, processes = 0, threads = 0, ...figures] = row;
  const [throughput = 0, p50Ms = 0, p99Ms = 0, cpuMsPerThousand = 0, memoryMb = 0] = figures;
  const setting = { version, batch, processes, threads };
  return { setting, throughput, p50Ms, p99Ms, cpuMsPerThousand, memoryMb, failed: 0, lost: 0 };
});

it.each([null, 10, 20, 50, 100])(
  'recorded, p99 %s ms: the choice is within 10 %% of the grid’s best, with half of its measurements',
  async (target) => {
    const known = new Map(RECORDED.map((one) => [settingKey(one.setting), one]));
    const { measured, isCut } = await searchSettings({
      ...{ grid: recorded.grid, target, cores: recorded.cores },
      measure: async (setting) => known.get(settingKey(setting)) ?? null,
    });
    expect(isCut).toBe(false);
    expect(measured.length).toBeLessThan(0.5 * RECORDED.length);
    expectWithin10Percent(chooseSetting(measured, target), chooseSetting(RECORDED, target), target);
  },
);

function expectWithin10Percent(choice: Measurement | null, best: Measurement | null, target: number | null): void {
  if (!choice || !best) throw new Error('nothing was chosen');
  if (target === null || best.p99Ms <= target) {
    if (target !== null) expect(choice.p99Ms).toBeLessThanOrEqual(target);
    expect(choice.throughput).toBeGreaterThanOrEqual(0.9 * best.throughput);
  } else expect(choice.p99Ms).toBeLessThanOrEqual(1.1 * best.p99Ms);
}

it('the search returns the measured settings when the time is over', async () => {
  let left = 5;
  const { measured, isCut } = await searchSettings({
    ...{ grid: GRID, target: 20, cores: 4 },
    measure: async (setting) => (left-- > 0 ? simulate(TREES, setting) : null),
  });
  expect([measured.length, isCut]).toEqual([5, true]);
  expect(chooseSetting(measured, 20)).not.toBeNull();
});

it('the search measures the current setting first', async () => {
  const current: Setting = { version: 2, batch: 256, processes: 1, threads: 1 };
  const { measured } = await searchSettings({
    ...{ grid: GRID, target: null, cores: 4, current },
    measure: async (setting) => simulate(TREES, setting),
  });
  expect(measured[0]?.setting).toEqual(current);
});

it('the choice has fewer processes for equal throughput, and the shortest p99 if no setting is within the target', () => {
  const one = (processes: number, throughput: number, p99Ms: number): Measurement => ({
    ...{ setting: { version: 1, batch: 8, processes, threads: 1 }, throughput, p50Ms: 1, p99Ms },
    ...{ cpuMsPerThousand: 1, memoryMb: 1, failed: 0, lost: 0 },
  });
  const all = [one(1, 980, 9), one(2, 1_000, 5), one(4, 500, 3)];
  expect(chooseSetting(all, null)?.setting.processes).toBe(1);
  expect(chooseSetting(all, 6)?.setting.processes).toBe(2);
  expect(chooseSetting(all, 1)?.setting.processes).toBe(4);
  expect(chooseSetting([], 1)).toBeNull();
  const killing = { ...one(1, 9_000, 1), lost: 1 };
  expect(chooseSetting([killing, ...all], 6)?.setting.processes).toBe(2);
  expect(chooseSetting([killing, one(4, 500, 3)], 1)?.throughput).toBe(500);
});
