/** The predictor of a config as a history's features fill its model: no database is asked, and the model is not tried. */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { adoptable } from '@tandem/config/adoption/adoptable';
import type { QueryColumn } from '@tandem/config/adoption/query-columns';
import { configError, type SettingProblem } from '@tandem/config/predictor/config-problem';
import { loadConfig } from '@tandem/config/predictor/load-config';
import type { ResolvedPredictor } from '@tandem/config/predictor/resolve-predictor';
import type { OutputField } from '@tandem/freshness/predictor';
import { namesWithoutDefault } from '@tandem/freshness/request-features';
import { withOpenModel } from '@tandem/inference/admission/check-model';
import type { FeatureRow } from '@tandem/prediction/value/value-history';
import { CommandFailure, usageError } from '../command-line/failure.ts';

interface LoadedPredictor {
  readonly file: string;
  readonly resolved: ResolvedPredictor;
}

export async function loadPredictor(path: string, name: string): Promise<LoadedPredictor> {
  const { file, predictors } = await loadConfig(path);
  const resolved = predictors.find((one) => one.name === name);
  if (resolved) return { file, resolved };
  const names = predictors.map((one) => one.name).join(', ');
  throw new CommandFailure(`${file} has no predictor ${name}`, { remedy: `name one of ${names}, or another --config` });
}

type Defined = Pick<CheckedPredictor, 'definition' | 'artifact'>;

/**
 * @param features in the order of the feature query, of which the model's inputs take them
 * @param rows whose values say the features' types
 */
export async function definePredictor(
  { file, resolved }: LoadedPredictor,
  { features, rows }: { readonly features: readonly string[]; readonly rows: readonly FeatureRow[] },
  memoryLimitMb: number,
): Promise<Defined> {
  const { asOf } = resolved.features;
  const columns: QueryColumn[] = [
    { name: 'user_id', type: 'text' },
    ...(asOf === null ? [] : [{ name: asOf, type: 'timestamptz' }]),
    ...features.map((name, i) => ({ name, type: typeOf(rows, i) })),
  ];
  const limits = { field: `predictors.${resolved.name}.model`, memoryLimitMb };
  return withOpenModel(resolved.model, limits, async ({ signature }) => {
    const result = adoptable(resolved, columns, signature);
    if (!result.ok) throw misfit(file, result.problems);
    refuseLiveOnly(resolved.name, namesWithoutDefault(result.definition));
    return { definition: result.definition, artifact: resolved.model.bytes };
  });
}

/** Settings that name columns of the query, for which the history's features stand in. */
const OF_COLUMNS = /\.features\.(sql$|nulls|categories)/;

/** Blames the history, not the config, for what does not fit its features; then names the config's own problems. */
function misfit(file: string, problems: readonly SettingProblem[]): Error {
  const ofHistory = problems.filter(({ path }) => OF_COLUMNS.test(path));
  if (ofHistory.length === 0) return configError(problems.map((problem) => ({ file, ...problem })));
  const ofConfig = problems.filter(({ path }) => !OF_COLUMNS.test(path));
  const texts = [...ofHistory, ...ofConfig].map(({ path, problem }) =>
    path.endsWith('.features.sql') ? problem : `${path}: ${problem}`,
  );
  const columns =
    "name the columns of the feature query in the history's head, in the query's order, without user_id and asOf";
  return new CommandFailure(`the features of the history do not fit the model of ${file}: ${texts.join('; ')}`, {
    remedy: [columns, ...ofConfig.map(({ path, remedy }) => `${path}: ${remedy}`)].join('; '),
  });
}

/** No batch could score the users of such a predictor, so there is nothing to compare. */
function refuseLiveOnly(predictor: string, names: readonly string[]): void {
  if (names.length === 0) return;
  throw new CommandFailure(`predictor ${predictor} has no stored predictions: ${names.join(', ')} has no default`, {
    remedy: 'declare a default of each request feature in its config, and ask again',
  });
}

function typeOf(rows: readonly FeatureRow[], column: number): string {
  let type = 'bigint';
  for (const row of rows) {
    const value = row[column];
    if (typeof value === 'string') return 'text';
    if (typeof value === 'number' && !Number.isInteger(value)) type = 'double precision';
  }
  return type;
}

/** Returns the output to judge: the requested output, else that of the decision, else the first single number. */
export function judgedOutput(
  { resolved }: LoadedPredictor,
  outputs: readonly OutputField[],
  asked?: string,
): OutputField {
  const single = outputs.find(({ type, width }) => width === null && type !== 'string');
  const name =
    asked ?? resolved.policy.decision?.output ?? single?.name ?? outputs.find((one) => one.width !== null)?.name;
  const found = outputs.find((one) => one.name === name);
  const names = outputs.map((one) => one.name).join(', ');
  if (!found)
    throw usageError(`predictor ${resolved.name} has no output ${name} to judge`, `name one of ${names} with --output`);
  if (found.width !== null || found.type !== 'string') return found;
  throw usageError(`output ${name} is one text: neither a chance nor a list`, `name another of ${names} with --output`);
}
