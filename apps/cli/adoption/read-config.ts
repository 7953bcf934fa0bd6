/**
 * Reads a config all the way to what can be adopted: the file, the queries as the database describes them, the models as
 * a trial run shows them. Everything that is wrong is told at once, with file, setting and remedy.
 */
import { adoptable, conflictsBetween } from '@tandem/config/adoptable';
import { configError, type SettingProblem } from '@tandem/config/config-problem';
import { loadConfig } from '@tandem/config/load-config';
import type { ModelSignature } from '@tandem/config/model-signature';
import type { ResolvedPredictor } from '@tandem/config/resolve-predictor';
import { checkModel, inspectModel } from '@tandem/inference/check-model';
import type { PredictorToAdopt } from '@tandem/offline-store/adopt';
import type { createPool } from '@tandem/offline-store/database';
import { describeQuery } from '@tandem/offline-store/feature-check';
import { isTandemError } from '@tandem/prediction/errors';
import type { TensorType } from '@tandem/prediction/predictor';

export type Pool = ReturnType<typeof createPool>;

export interface ReadConfig {
  /** Absolute. */
  readonly file: string;
  readonly predictors: readonly PredictorToAdopt[];
}

type Judged = { readonly predictor: PredictorToAdopt } | { readonly problems: readonly SettingProblem[] };

/** Rejects with `config_invalid`, all problems in it, or with `unavailable` where the database does not answer. */
export async function readConfig(pool: Pool, path: string): Promise<ReadConfig> {
  const { file, predictors } = await loadConfig(path);
  const judged: Judged[] = [];
  // One after the other: a trial run takes a process and its memory.
  for (const resolved of predictors) judged.push(await judgePredictor(pool, resolved));
  const fit = judged.flatMap((one) => ('predictor' in one ? [one.predictor] : []));
  const problems = [
    ...judged.flatMap((one) => ('problems' in one ? one.problems : [])),
    ...conflictsBetween(fit.map(({ definition }) => definition)),
  ];
  if (problems.length > 0) throw configError(problems.map((problem) => ({ file, ...problem })));
  return { file, predictors: fit };
}

async function judgePredictor(pool: Pool, resolved: ResolvedPredictor): Promise<Judged> {
  const { name, model, policy, features } = resolved;
  try {
    const columns = await describeQuery(pool, features.sql);
    const field = `predictors.${name}.model`;
    const signature = await inspectModel(model.bytes, { field });
    const result = adoptable(resolved, columns, tensorsOf(signature));
    if (!result.ok) return { problems: [...mapOutputProblems(resolved, signature), ...result.problems] };
    await checkModel(result.definition, model.bytes, { field });
    return { predictor: { name, policy, definition: result.definition, artifact: model.bytes } };
  } catch (error) {
    const problem = settingProblem(name, error);
    if (problem === undefined) throw error;
    return { problems: [problem] };
  }
}

type InspectedSignature = Awaited<ReturnType<typeof inspectModel>>;

function tensorsOf({ inputs, outputs }: InspectedSignature): ModelSignature {
  const tensors = (all: InspectedSignature['inputs']) =>
    // A type that is none of ours (complex64) fits nothing, and is told like any other misfit.
    all.flatMap(({ type, ...tensor }) => (type === null ? [] : [{ ...tensor, type: type as TensorType }]));
  return { inputs: tensors(inputs), outputs: tensors(outputs) };
}

/** An output that is a sequence of maps is missed as a tensor; say why rather than that it is not there. */
function mapOutputProblems({ name, outputs }: ResolvedPredictor, signature: InspectedSignature): SettingProblem[] {
  return signature.outputs
    .filter((output) => output.type === null && outputs.some(({ from }) => from === output.name))
    .map((output) => ({
      path: `predictors.${name}.model`,
      problem: `gives ${output.name} as a sequence of maps rather than a tensor (skl2onnx's default for classifiers)`,
      remedy: "export it without: to_onnx(model, X, options={id(model): {'zipmap': False}})",
    }));
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
