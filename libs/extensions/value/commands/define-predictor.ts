/** Defines a predictor of a config with the features of a history. It needs no database and does not try the model. */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { adoptable } from '@tandem/config/adoption/adoptable';
import type { QueryColumn } from '@tandem/config/adoption/query-columns';
import { configError, type SettingProblem } from '@tandem/config/predictor/config-problem';
import { loadConfig } from '@tandem/config/predictor/load-config';
import type { OutputField } from '@tandem/freshness/predictor';
import { namesWithoutDefault } from '@tandem/freshness/request-features';
import { withOpenModel } from '@tandem/inference/admission/check-model';
import type { FeatureRow } from '../value-history.ts';

type LoadedPredictor = Awaited<ReturnType<typeof loadPredictor>>;

export async function loadPredictor(path: string, name: string) {
  const { file, predictors } = await loadConfig(path);
  const resolved = predictors.find((one) => one.name === name);
  if (resolved) return { file, resolved };
  const names = predictors.map((one) => one.name).join(', ');
  throw new CommandFailure(`${file} has no predictor ${name}`, { remedy: `use one of ${names}, or another --config` });
}

type Defined = Pick<CheckedPredictor, 'definition' | 'artifact'>;

/**
 * Defines the predictor.
 * @param features the names of the features, in the order in which the inputs of the model take them
 * @param rows rows whose values define the types of the features
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

/** Settings that name columns of the query, which the features of the history replace. */
const OF_COLUMNS = /\.features\.(sql$|nulls|categories)/;

/** Returns the error. Problems with features are problems of the history; the others are problems of the config. */
function misfit(file: string, problems: readonly SettingProblem[]): Error {
  const ofHistory = problems.filter(({ path }) => OF_COLUMNS.test(path));
  if (ofHistory.length === 0) return configError(problems.map((problem) => ({ file, ...problem })));
  const ofConfig = problems.filter(({ path }) => !OF_COLUMNS.test(path));
  const texts = [...ofHistory, ...ofConfig].map(({ path, problem }) =>
    path.endsWith('.features.sql') ? problem : `${path}: ${problem}`,
  );
  const columns =
    'list the columns of the feature query in the header of the history, in the order of the query, without user_id and asOf';
  return new CommandFailure(`the features of the history do not fit the model of ${file}: ${texts.join('; ')}`, {
    remedy: [columns, ...ofConfig.map(({ path, remedy }) => `${path}: ${remedy}`)].join('; '),
  });
}

/** Throws for a predictor whose users no batch can score, so that there is nothing to compare. */
function refuseLiveOnly(predictor: string, names: readonly string[]): void {
  if (names.length === 0) return;
  throw new CommandFailure(`predictor ${predictor} has no stored predictions: ${names.join(', ')} has no default`, {
    remedy: 'declare a default for each request feature in its config, and run the command again',
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

/** Returns the output to judge: the requested output, or else that of the decision, or else the first single number. */
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
    throw usageError(`predictor ${resolved.name} has no output ${name} to judge`, `use one of ${names} with --output`);
  if (found.width !== null || found.type !== 'string') return found;
  throw usageError(
    `output ${name} is one text, neither a probability nor a list`,
    `name another of ${names} with --output`,
  );
}
