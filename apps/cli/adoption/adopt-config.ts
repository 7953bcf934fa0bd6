/** Puts a config in force: from then on API and worker serve what it says. */
import { relative } from 'node:path';
import { type AdoptionOutcome, adopt } from '@tandem/offline-store/adopt';
import { type Pool, readConfig } from './read-config.ts';

export interface AdoptedConfig extends AdoptionOutcome {
  /** Absolute. */
  readonly file: string;
}

export async function adoptConfig(pool: Pool, path: string): Promise<AdoptedConfig> {
  const { file, predictors } = await readConfig(pool, path);
  return { file, ...(await adopt(pool, { predictors, actor: 'cli' })) };
}

const CHANGES = {
  added: 'adopted',
  version: 'adopted: another model version, its first run is due',
  policy: 'adopted: policies changed',
  unchanged: 'unchanged',
} as const;

/** A line for each predictor. */
export function renderAdoption({ file, predictors, deactivated }: AdoptedConfig, cwd: string): string[] {
  const from = relative(cwd, file) || file;
  return [
    ...predictors.map(
      ({ predictor, modelNumber, change }) =>
        `${predictor}: model version ${modelNumber}, ${CHANGES[change]} (${from})`,
    ),
    ...deactivated.map((name) => `${name}: not in ${from} any more, served no longer`),
  ];
}
