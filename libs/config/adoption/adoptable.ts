/**
 * Joins a config with the database's description of its query and with the signature of its model. The result is a
 * definition that can be adopted, or all problems that prevent it.
 */
import type {
  Categories,
  FeatureColumn,
  FeatureKind,
  FeatureQuery,
  ModelDefinition,
} from '@tandem/freshness/predictor';
import { pathText } from '../predictor/check-form.ts';
import { type SettingProblem, writeNearest } from '../predictor/config-problem.ts';
import { segmentProblems } from '../predictor/publication-settings.ts';
import type { ResolvedPredictor } from '../predictor/resolve-predictor.ts';
import { type ModelSignature, mapInputs } from './model-inputs.ts';
import { mapOutputs } from './model-outputs.ts';
import { type QueryColumn, readQueryColumns } from './query-columns.ts';

type Adoptable =
  | { readonly ok: true; readonly definition: ModelDefinition }
  | { readonly ok: false; readonly problems: readonly SettingProblem[] };

/**
 * Returns the definition of a predictor, or its problems.
 * @param columns the columns of the predictor's query, in order
 * @param signature the signature of the predictor's model
 */
export function adoptable(
  predictor: ResolvedPredictor,
  columns: readonly QueryColumn[],
  signature: ModelSignature,
): Adoptable {
  const problems: SettingProblem[] = [];
  const roles = readQueryColumns(predictor, columns, problems);
  const features = roles && declareValues(predictor, roles.features, problems);
  if (roles) problems.push(...segmentProblems(predictor.name, predictor.policy.segments ?? [], roles.features));
  const outputs = mapOutputs(predictor, signature, problems);
  // Whether features fit the model is checked only if all features are known. Otherwise one problem would be reported
  // twice.
  const request = predictor.request ?? [];
  if (features) problems.push(...requestNameProblems(predictor, columns));
  const inputs = features ? mapInputs(predictor, [...features, ...request], signature, problems) : [];
  if (!roles || !features || problems.length > 0) return { ok: false, problems };
  const { sql, asOf, overlayForMs } = predictor.features;
  const definition: ModelDefinition = {
    predictor: predictor.name,
    artifactHash: predictor.model.sha256,
    keyType: roles.keyType,
    query: { sql, columns: features, asOf, overlayForMs },
    ...(predictor.request ? { request } : {}),
    inputs,
    outputs,
    ...(predictor.rowByRow ? { rowByRow: true } : {}),
  };
  return { ok: true, definition };
}

/** Returns a problem for each request feature that has the name of a query column, since it would hide the column. */
function requestNameProblems({ name, request }: ResolvedPredictor, columns: readonly QueryColumn[]): SettingProblem[] {
  const taken = new Set(columns.map((column) => column.name));
  return (request ?? [])
    .filter((column) => taken.has(column.name))
    .map((column) => ({
      path: pathText(['predictors', name, 'request', column.name]),
      problem: 'has the name of a column of the feature query',
      remedy: 'rename one of the two',
    }));
}

/**
 * Returns the features that an event's data may set for a predictor, with the kind of each; empty if its query has
 * neither `asOf` nor `overlayFor`.
 */
export function eventFeatures(query: FeatureQuery): Readonly<Record<string, FeatureKind>> {
  if (!takesEventValues(query)) return {};
  return Object.fromEntries(query.columns.map(({ name, kind }) => [name, kind]));
}

/**
 * Returns the reasons why predictors cannot be adopted together: their user ids have different types; a feature has
 * different kinds; or one predictor takes a feature's value from events, and another predictor with the same feature
 * would silently ignore it.
 */
export function conflictsBetween(definitions: readonly ModelDefinition[]): readonly SettingProblem[] {
  return definitions.flatMap((definition, i) => [
    ...keyConflict(definition, definitions[0]),
    ...definitions.slice(0, i).flatMap((earlier) => [...kindConflicts(definition, earlier)]),
    ...definitions.flatMap((other) => (other === definition ? [] : [...overlayConflicts(definition, other)])),
  ]);
}

function takesEventValues({ asOf, overlayForMs }: FeatureQuery): boolean {
  return asOf !== null || overlayForMs !== null;
}

function* keyConflict(definition: ModelDefinition, first: ModelDefinition | undefined): Iterable<SettingProblem> {
  if (!first || first.keyType === definition.keyType) return;
  yield {
    path: pathText(['predictors', definition.predictor, 'features', 'sql']),
    problem: `has user ids of type ${sqlName(definition)}, but predictor ${first.predictor} has ${sqlName(first)}`,
    remedy: 'give all predictors the same type of user_id, with a cast in one of the queries',
  };
}

function sqlName({ keyType }: ModelDefinition): string {
  return keyType === 'int8' ? 'bigint' : keyType;
}

function* kindConflicts(definition: ModelDefinition, earlier: ModelDefinition): Iterable<SettingProblem> {
  const theirs = eventFeatures(earlier.query);
  for (const [name, kind] of Object.entries(eventFeatures(definition.query))) {
    const other = theirs[name];
    if (other === undefined || jsonType(other) === jsonType(kind)) continue;
    yield {
      path: pathText(['predictors', definition.predictor, 'features', 'sql']),
      problem: `feature ${name} is a ${kind} here, but a ${other} for predictor ${earlier.predictor}: no event could send a value to both`,
      remedy: 'give the two features different names',
    };
  }
}

function* overlayConflicts(definition: ModelDefinition, taker: ModelDefinition): Iterable<SettingProblem> {
  if (takesEventValues(definition.query)) return;
  const taken = eventFeatures(taker.query);
  const names = definition.query.columns.map(({ name }) => name).filter((name) => Object.hasOwn(taken, name));
  if (names.length === 0) return;
  const many = names.length > 1;
  yield {
    path: pathText(['predictors', definition.predictor, 'features']),
    problem: `events send values of ${names.join(', ')} to predictor ${taker.predictor}; this predictor uses ${many ? 'features of these names' : 'a feature of this name'}, but sets neither asOf nor overlayFor`,
    remedy: 'add asOf or overlayFor, or rename the features in one of the queries',
  };
}

function jsonType(kind: FeatureKind): string {
  return kind === 'integer' ? 'number' : kind;
}

/** Returns the columns with their declarations; undefined if it added problems to `problems`. */
function declareValues(
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
  return {
    path,
    problem: `the query has no feature column of this name; it has ${known.join(', ')}`,
    remedy: writeNearest(name, known) ?? 'use one of these, or remove it',
  };
}

function notText(path: string, { name, kind }: FeatureColumn): SettingProblem {
  return {
    path,
    problem: `column ${name} is of kind ${kind}, but only a text column can have categories`,
    remedy: `remove these categories, or cast the column in the query: ${name}::text as ${name}`,
  };
}

type Fault = Omit<SettingProblem, 'path'>;

/**
 * Returns a problem if a column of this kind cannot have this value for nulls. The check of the input decides whether
 * the input can represent the number.
 */
function nullProblem(
  given: number | string | boolean,
  { name, kind }: FeatureColumn,
  categories: Categories | undefined,
): Fault | undefined {
  const wrong = (remedy: string): Fault => ({
    problem: `is ${typeof given === 'string' ? `'${given}'` : given}, but column ${name} is of kind ${kind}`,
    remedy,
  });
  if (kind === 'string') {
    if (typeof given !== 'string') return wrong('write a text in quotes');
    if (!categories || categories.unknownAs !== undefined || categories.values.includes(given)) return undefined;
    return {
      problem: `is '${given}', which is not a category of column ${name}, and features.categories sets no value for unknown texts`,
      remedy: `write one of ${categories.values.slice(0, 8).join(', ')}, or add unknown to features.categories.${name}`,
    };
  }
  if (typeof given === 'string' && given !== 'nan') return wrong("write a number, or 'nan'");
  if (typeof given === 'boolean' && kind !== 'boolean') return wrong("write a number, or 'nan'");
  return undefined;
}
