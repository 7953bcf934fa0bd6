/**
 * Reads a config all the way to what can be adopted: the file, the queries as the database describes them, the models as
 * a trial run shows them. Everything that is wrong is told at once, with file, setting and remedy.
 */
import { type CheckedPredictor, type Judged, judgePredictor } from '@tandem/admission/judge-predictor';
import type { Pool, SampleLimits } from '@tandem/admission/sample-users';
import { type TellStep, tellNothing } from '@tandem/admission/tell-step';
import { conflictsBetween } from '@tandem/config/adoption/adoptable';
import { configError } from '@tandem/config/predictor/config-problem';
import { loadConfig } from '@tandem/config/predictor/load-config';

export interface ReadConfig {
  /** Absolute. */
  readonly file: string;
  readonly predictors: readonly CheckedPredictor[];
}

/**
 * Rejects with `config_invalid`, all problems in it; `unavailable` where the database does not answer; or `overloaded` where
 * the machine is too busy to try a model.
 * @param features the pool of feature statements
 * @param memoryLimitMb of the process that tries a model (model-memory.ts)
 */
export async function readConfig(
  features: Pool,
  path: string,
  memoryLimitMb: number,
  tell: TellStep = tellNothing,
  sampling: SampleLimits = {},
): Promise<ReadConfig> {
  const { file, predictors } = await loadConfig(path);
  const judged: Judged[] = [];
  // One after the other: a trial run takes a process and its memory. A person waits for it: it has the command's priority.
  const options = { memoryLimitMb, trial: { niceSteps: 0 }, tell, sampling };
  for (const resolved of predictors) {
    judged.push(await judgePredictor(features, resolved, options));
  }
  const fit = judged.flatMap((one) => ('predictor' in one ? [one.predictor] : []));
  const problems = [
    ...judged.flatMap((one) => ('problems' in one ? one.problems : [])),
    ...conflictsBetween(fit.map(({ definition }) => definition)),
  ];
  if (problems.length > 0) throw configError(problems.map((problem) => ({ file, ...problem })));
  return { file, predictors: fit };
}
