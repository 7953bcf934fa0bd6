/** Puts a config in force: from then on API and worker serve what it says. */
import { relative } from 'node:path';
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { type TellStep, tellNothing } from '@tandem/admission/tell-step';
import { type AdoptionOutcome, adopt } from '@tandem/offline-store/adopt';
import type { Databases } from '../servers/databases.ts';
import { readConfig } from './read-config.ts';
import { findWithdrawn, KEEP_SERVED, withdrawalText } from './served-predictors.ts';

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

/** What is told while it is done: slow steps, and what will be served no longer, before it is not. */
export interface AdoptionTold {
  readonly step?: TellStep;
  readonly say: (line: string) => void;
  /** The folder that files are named from. */
  readonly cwd: string;
}

export async function adoptConfig(
  { pool, features }: Databases,
  path: string,
  memoryLimitMb: number,
  { step = tellNothing, say, cwd }: AdoptionTold,
): Promise<AdoptedConfig> {
  const { file, predictors } = await readConfig(features, path, memoryLimitMb, step);
  const withdrawn = await findWithdrawn(pool, predictors);
  if (withdrawn.length > 0) say(`${withdrawalText(withdrawn, relative(cwd, file) || file)}; ${KEEP_SERVED}`);
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

/** A config that was adopted before does not undo what was promoted or rolled back to since. */
function servedInstead(adopted: number, served: number): string {
  if (served === adopted) return '';
  return `; served is model version ${served}, by a rollout or a rollback since (npx tandem audit list)`;
}

/** A line for each predictor. */
export function renderAdoption({ file, predictors, deactivated }: AdoptedConfig, cwd: string): string[] {
  const from = relative(cwd, file) || file;
  return [
    ...predictors.map(
      ({ predictor, modelNumber, servedNumber, change }) =>
        `${predictor}: model version ${modelNumber}, ${CHANGES[change]} (${from})${servedInstead(modelNumber, servedNumber)}`,
    ),
    ...deactivated.map((name) => `${name}: not in ${from} any more, served no longer`),
  ];
}
