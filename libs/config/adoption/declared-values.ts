/** Joins what a config declares of columns, nulls and categories, with the columns that there are. */
import type { Categories, FeatureColumn } from '@tandem/freshness/predictor';
import { pathText } from '../predictor/check-form.ts';
import type { SettingProblem } from '../config-problem.ts';
import { nearestName } from '../nearest-name.ts';
import type { ResolvedPredictor } from '../predictor/resolve-predictor.ts';

/** The columns with their declarations, or undefined with the reasons added to `problems`. */
export function declareValues(
  { name: predictor, features: { nulls, categories } }: ResolvedPredictor,
  columns: readonly FeatureColumn[],
  problems: SettingProblem[],
): readonly FeatureColumn[] | undefined {
  const before = problems.length;
  const at = (setting: string, column: string) => pathText(['predictors', predictor, 'features', setting, column]);
  const known = new Set(columns.map(({ name }) => name));
  for (const [setting, declared] of Object.entries({ nulls, categories })) {
    const unknown = Object.keys(declared).filter((name) => !known.has(name));
    problems.push(...unknown.map((name) => unknownColumn(name, at(setting, name), [...known])));
  }
  const declared = columns.map((column): FeatureColumn => {
    const { name } = column;
    const texts = Object.hasOwn(categories, name) ? categories[name] : undefined;
    const given = Object.hasOwn(nulls, name) ? nulls[name] : undefined;
    const fault = texts && column.kind !== 'string' ? notText(at('categories', name), column) : undefined;
    if (fault) problems.push(fault);
    const nullFault = given === undefined ? undefined : nullProblem(given, column, texts);
    if (nullFault) problems.push({ path: at('nulls', name), ...nullFault });
    return {
      ...column,
      ...(given === undefined ? {} : { nullAs: typeof given === 'boolean' ? Number(given) : given }),
      ...(texts === undefined ? {} : { categories: texts }),
    };
  });
  return problems.length === before ? declared : undefined;
}

function unknownColumn(name: string, path: string, known: readonly string[]): SettingProblem {
  const meant = nearestName(name, known);
  return {
    path,
    problem: `the query has no feature column of this name; it has ${known.join(', ')}`,
    remedy: meant ? `did you mean ${meant}?` : 'name one of these, or remove it',
  };
}

function notText(path: string, { name, kind }: FeatureColumn): SettingProblem {
  return {
    path,
    problem: `column ${name} is of kind ${kind}, and categories are the texts of a text column`,
    remedy: `remove it, or make the column a text in the query: ${name}::text as ${name}`,
  };
}

type Fault = Omit<SettingProblem, 'path'>;

/** Whether a column of this kind can be given this for its nulls; which numbers an input holds is judged with it. */
function nullProblem(
  given: number | string | boolean,
  { name, kind }: FeatureColumn,
  categories: Categories | undefined,
): Fault | undefined {
  const wrong = (remedy: string): Fault => ({
    problem: `is ${typeof given === 'string' ? `'${given}'` : given}, and column ${name} is of kind ${kind}`,
    remedy,
  });
  if (kind === 'string') {
    if (typeof given !== 'string') return wrong('write a text in quotes');
    if (!categories || categories.unknownAs !== undefined || categories.values.includes(given)) return undefined;
    return {
      problem: `is '${given}', which is no category of column ${name}, and the categories do not say what an unknown text counts as`,
      remedy: `write one of ${categories.values.slice(0, 8).join(', ')}, or add unknown to features.categories.${name}`,
    };
  }
  if (typeof given === 'string' && given !== 'nan') return wrong("write a number, or 'nan'");
  if (typeof given === 'boolean' && kind !== 'boolean') return wrong("write a number, or 'nan'");
  return undefined;
}
