/** Puts a config in force: from then on API and worker serve what it says. */
import { relative } from 'node:path';
import { type AdoptionOutcome, adopt } from '@tandem/offline-store/adopt';
import { type CheckedPredictor, type Pool, readConfig } from './read-config.ts';

export interface AdoptedConfig extends AdoptionOutcome {
  /** Absolute. */
  readonly file: string;
  /** What a first request could be about: a user of the first predictor who can be scored; null: none was seen. */
  readonly toTry: ToTry | null;
}

export interface ToTry {
  readonly predictor: string;
  readonly userId: string;
  /** Of an event after which a read infers anew; null: none does. */
  readonly eventType: string | null;
}

export async function adoptConfig(pool: Pool, path: string, memoryLimitMb: number): Promise<AdoptedConfig> {
  const { file, predictors } = await readConfig(pool, path, memoryLimitMb);
  return { file, ...(await adopt(pool, { predictors, actor: 'cli' })), toTry: toTryOf(predictors) };
}

function toTryOf([first]: readonly CheckedPredictor[]): ToTry | null {
  const [userId] = first?.users?.scorable?.userIds ?? [];
  if (!first || userId === undefined) return null;
  const { events, live } = first.policy.freshness;
  const [pattern] = live ? events : [];
  return { predictor: first.name, userId, eventType: pattern?.replaceAll('*', 'changed') ?? null };
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
