/**
 * Reads a config all the way to what can be adopted: the file, the queries as the database describes them, the models as
 * a trial run shows them. Everything that is wrong is told at once, with file, setting and remedy.
 */
import { adoptable, conflictsBetween } from '@tandem/config/adoptable';
import { configError, type SettingProblem } from '@tandem/config/config-problem';
import { loadConfig } from '@tandem/config/load-config';
import { paddedColumns, type QueryColumn } from '@tandem/config/query-columns';
import type { ResolvedPredictor } from '@tandem/config/resolve-predictor';
import { type CheckedModel, checkModel, inspectModel } from '@tandem/inference/check-model';
import type { PredictorToAdopt } from '@tandem/offline-store/adopt';
import type { createPool } from '@tandem/offline-store/database';
import { describeQuery } from '@tandem/offline-store/feature-check';
import { isTandemError } from '@tandem/prediction/errors';
import { type TellStep, tellNothing } from '../output/tell-steps.ts';
import { type SampledUsers, type SampleLimits, sampleUsers } from './sample-users.ts';

export type Pool = ReturnType<typeof createPool>;

export interface CheckedPredictor extends PredictorToAdopt {
  readonly checked: CheckedModel;
  /** Its query's columns of texts that are filled up with blanks. */
  readonly padded: readonly QueryColumn[];
  /** Undefined before the schema is there: see sample-users.ts. */
  readonly users: SampledUsers | undefined;
}

export interface ReadConfig {
  /** Absolute. */
  readonly file: string;
  readonly predictors: readonly CheckedPredictor[];
}

type Judged = { readonly predictor: CheckedPredictor } | { readonly problems: readonly SettingProblem[] };

/**
 * Rejects with `config_invalid`, all problems in it, or with `unavailable` where the database does not answer.
 * @param memoryLimitMb of the process that tries a model (model-memory.ts)
 */
export async function readConfig(
  pool: Pool,
  path: string,
  memoryLimitMb: number,
  tell: TellStep = tellNothing,
  sampling: SampleLimits = {},
): Promise<ReadConfig> {
  const { file, predictors } = await loadConfig(path);
  const judged: Judged[] = [];
  // One after the other: a trial run takes a process and its memory.
  for (const resolved of predictors) {
    judged.push(await judgePredictor(pool, resolved, memoryLimitMb, tell, sampling));
  }
  const fit = judged.flatMap((one) => ('predictor' in one ? [one.predictor] : []));
  const problems = [
    ...judged.flatMap((one) => ('problems' in one ? one.problems : [])),
    ...conflictsBetween(fit.map(({ definition }) => definition)),
  ];
  if (problems.length > 0) throw configError(problems.map((problem) => ({ file, ...problem })));
  return { file, predictors: fit };
}

async function judgePredictor(
  pool: Pool,
  resolved: ResolvedPredictor,
  memoryLimitMb: number,
  tell: TellStep,
  sampling: SampleLimits,
): Promise<Judged> {
  const { name, model, policy, features, outputs } = resolved;
  try {
    const columns = await describeQuery(pool, features.sql);
    const unplaced = outputs.filter(({ index, width }) => index === null && width === null).map((one) => one.name);
    const limits = { field: `predictors.${name}.model`, memoryLimitMb };
    const result = adoptable(resolved, columns, await inspectModel(model.bytes, limits));
    if (!result.ok) return { problems: result.problems };
    const { definition } = result;
    const users = await tell(`reading some users of ${name}`, () => sampleUsers(pool, definition, sampling));
    const sample = users?.scorable;
    const checked = await tell(`trying the model of ${name}`, () =>
      checkModel(definition, model.bytes, { ...limits, unplaced, ...(sample ? { sample } : {}) }),
    );
    return {
      predictor: { name, policy, definition, artifact: model.bytes, checked, users, padded: paddedColumns(columns) },
    };
  } catch (error) {
    const problem = settingProblem(name, error);
    if (problem === undefined) throw error;
    return { problems: [problem] };
  }
}

/** What a query or a model is refused for, as a problem of the config; undefined for what is not the config's fault. */
function settingProblem(name: string, error: unknown): SettingProblem | undefined {
  if (!isTandemError(error, 'config_invalid', 'model_refused', 'invalid_input')) return undefined;
  const field = error.field ?? 'features.sql';
  return {
    path: field.startsWith('predictors.') ? field : `predictors.${name}.${field}`,
    problem: error.message,
    remedy: error.remedy ?? 'mend it',
  };
}
