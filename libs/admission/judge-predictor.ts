/**
 * Decides whether a predictor may serve: the database describes its query, and a trial on real users tests its model.
 * The same code decides for configs that are checked or adopted, and for pushed model versions.
 */

import { adoptable } from '@tandem/config/adoption/adoptable';
import { paddedColumns, type QueryColumn } from '@tandem/config/adoption/query-columns';
import type { SettingProblem } from '@tandem/config/predictor/config-problem';
import type { ResolvedPredictor } from '@tandem/config/predictor/resolve-predictor';
import { isTandemError } from '@tandem/freshness/errors';
import type { ModelDefinition, Policy } from '@tandem/freshness/predictor';
import {
  type CheckedModel,
  type OpenModel,
  type TrialLimits,
  withOpenModel,
} from '@tandem/inference/admission/check-model';
import { READS_DIFFER } from '@tandem/inference/admission/trial';
import { describeQuery } from '@tandem/offline-store/features/feature-check';
import { type ReportProgress, reportNothing } from './report-progress.ts';
import { type Pool, type SampledUsers, type SampleLimits, sampleUsers } from './sample-users.ts';

export interface CheckedPredictor {
  readonly name: string;
  readonly policy: Policy;
  readonly definition: ModelDefinition;
  readonly artifact: Buffer;
  /** The result of the trial, which is also stored with the version. */
  readonly verification: CheckedModel;
  /** Text columns of the query that are padded with blanks. */
  readonly padded: readonly QueryColumn[];
  /** The sampled users; undefined if the schema does not exist yet (sample-users.ts). */
  readonly users: SampledUsers | undefined;
}

export type Judged = { readonly predictor: CheckedPredictor } | { readonly problems: readonly SettingProblem[] };

export interface JudgeOptions {
  /** Memory limit of the process that tries the model, equal to that of the serving processes. */
  readonly memoryLimitMb: number;
  readonly trial?: TrialLimits;
  readonly reportProgress?: ReportProgress;
  readonly sampling?: SampleLimits;
}

/** A predictor as its query and its model's signature define it, before a trial. */
export type Defined =
  | { readonly definition: ModelDefinition; readonly padded: readonly QueryColumn[]; readonly model: OpenModel }
  | { readonly problems: readonly SettingProblem[] };

/**
 * Defines the predictor, and keeps its model open during the work. Rejects with `unavailable` if the database does
 * not answer, `overloaded` if the machine is too busy for a trial, `model_refused`, `config_invalid`.
 * @param pool the pool of feature statements, also in the functions below
 */
export async function withDefined<T>(
  pool: Pool,
  resolved: ResolvedPredictor,
  { memoryLimitMb, trial }: JudgeOptions,
  work: (defined: Defined) => Promise<T>,
): Promise<T> {
  const columns = await describeQuery(pool, resolved.features.sql);
  const limits = { ...trial, field: `predictors.${resolved.name}.model`, memoryLimitMb };
  return withOpenModel(resolved.model, limits, (model) => {
    const result = adoptable(resolved, columns, model.signature);
    if (!result.ok) return work({ problems: result.problems });
    return work({ definition: result.definition, padded: paddedColumns(columns), model });
  });
}

/** Defines and tries a predictor. Returns the problems of the predictor; rejects if the cause is not the predictor. */
export async function judgePredictor(pool: Pool, resolved: ResolvedPredictor, options: JudgeOptions): Promise<Judged> {
  try {
    return await withDefined(pool, resolved, options, async (defined) => {
      if ('problems' in defined) return defined;
      return { predictor: await tryPredictor(pool, resolved, defined, options) };
    });
  } catch (error) {
    const problem = settingProblem(resolved.name, error);
    if (problem === undefined) throw error;
    return { problems: [problem] };
  }
}

/** Tries a defined predictor on real users. Rejects as `withDefined` does; the `field` of the error is a setting. */
export async function tryPredictor(
  pool: Pool,
  resolved: ResolvedPredictor,
  { definition, padded, model }: Exclude<Defined, { problems: unknown }>,
  { reportProgress = reportNothing, sampling = {} }: JudgeOptions,
): Promise<CheckedPredictor> {
  const { name, policy, outputs } = resolved;
  const unplaced = outputs.filter(({ index, width }) => index === null && width === null).map((one) => one.name);
  const tryOnce = async () => {
    const users = await reportProgress(`reading some users of ${name}`, () => sampleUsers(pool, definition, sampling));
    const { scorable: sample, bothWays } = users ?? {};
    const real = { ...(sample ? { sample } : {}), ...(bothWays ? { bothWays } : {}) };
    const verification = await reportProgress(`trying the model of ${name}`, () =>
      model.check(definition, { unplaced, ...real }),
    );
    return { name, policy, definition, artifact: resolved.model.bytes, verification, padded, users };
  };
  return tryOnce().catch(async (error: unknown) => {
    if (!isTandemError(error, 'model_refused') || error.detail !== READS_DIFFER) throw error;
    // A row may have changed between the two reads, but rarely in two trials. A second trial that compares no users
    // proves nothing.
    const again = await tryOnce();
    if (again.verification.parity.readBothWays === 0) throw error;
    return again;
  });
}

/** Returns the error of a query or a model as a problem of the config; undefined if the config is not the cause. */
export function settingProblem(name: string, error: unknown): SettingProblem | undefined {
  if (!isTandemError(error, 'config_invalid', 'model_refused', 'invalid_input')) return undefined;
  const field = error.field ?? 'features.sql';
  return {
    path: field.startsWith('predictors.') ? field : `predictors.${name}.${field}`,
    problem: error.message,
    remedy: error.remedy ?? 'fix it, then retry',
  };
}
