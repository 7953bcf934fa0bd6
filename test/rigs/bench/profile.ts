/**
 * Compares the setting that `tandem profile` chooses with the best setting of the whole grid, for several latency
 * targets. The grid covers two model versions; one costs a quarter of the other. It is measured once (`--exhaustive`).
 * The search is replayed on these measurements, so that both settings are judged by the same figures.
 */
import { availableParallelism } from 'node:os';
import { searchSettings } from '@tandem/prediction/profile/search-settings';
import { chooseSetting, type Grid, type LatencyTarget, type Measurement } from '@tandem/prediction/profile/settings';
import { denseModel } from '@tandem/testing/sized-model';
import { adoptPredictor, FEATURES } from './predictors.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import { runProgram } from './service.ts';

const TARGETS: readonly LatencyTarget[] = [null, 2, 10, 50];
const USERS = 5_000;
const UNITS = [256, 512];

/** The fields of `tandem profile --json` that this section reads. */
interface Report {
  readonly grid: Grid;
  readonly measured: readonly (Measurement['setting'] &
    Omit<Measurement, 'setting' | 'throughput'> & { readonly predictionsPerSecond: number })[];
}

export const profile: Section = {
  name: 'profile',
  async measure(servers, { seconds }, say) {
    for (const units of UNITS) {
      const artifact = denseModel({ width: FEATURES.length, units, layers: 3 });
      await adoptPredictor(servers, { name: 'profiled', artifact, users: USERS });
    }
    say('measuring the whole grid');
    const limits = ['--seconds', `${seconds}`, '--minutes', '60', '--versions', '1,2'];
    const args = ['apps/cli/main.ts', 'profile', 'profiled', '--exhaustive', '--json', ...limits];
    const { grid, measured } = JSON.parse(await runProgram(servers, args)) as Report;
    const everything = measured.map(measurementOf);
    const figures: Figure[] = [];
    for (const target of TARGETS) figures.push(...(await compare(grid, everything, target)));
    return figures;
  },
};

function measurementOf({ predictionsPerSecond: throughput, ...one }: Report['measured'][number]): Measurement {
  const { version, batch, processes, threads } = one;
  return { ...one, throughput, setting: { version, batch, processes, threads } };
}

async function compare(
  grid: Grid,
  everything: readonly Measurement[],
  target: LatencyTarget,
): Promise<readonly Figure[]> {
  const keyOf = ({ version, batch, processes, threads }: Measurement['setting']) =>
    [version, batch, processes, threads].join();
  const known = new Map(everything.map((one) => [keyOf(one.setting), one]));
  const { measured } = await searchSettings({
    ...{ grid, target, cores: availableParallelism() },
    measure: async (setting) => known.get(keyOf(setting)) ?? null,
  });
  const [choice, best] = [chooseSetting(measured, target), chooseSetting(everything, target)];
  if (choice === null || best === null) throw new Error('nothing was measured');
  const name = target === null ? 'without a target' : `p99 within ${target} ms`;
  return [
    figureOf(`${name}: choice of the search / best of the grid`, 'ratio', [choice.throughput / best.throughput], {
      least: 0.9,
    }),
    figureOf('… settings measured / of the grid', 'ratio', [measured.length / everything.length], { most: 0.6 }),
    figureOf('… its predictions', 'rows/s', [choice.throughput]),
    figureOf('… its p99', 'ms', [choice.p99Ms]),
  ];
}
