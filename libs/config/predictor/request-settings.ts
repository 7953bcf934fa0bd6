/** Checks the setting `request` of a predictor, and converts its values to columns. */
import type { Categories, FeatureKind, RequestColumn } from '@tandem/freshness/predictor';
import {
  describeRequestColumn,
  MAX_REQUEST_TEXT,
  namesWithoutDefault,
  requestValueFault,
} from '@tandem/freshness/request-features';
import { type At, type PartialPredictor, shown } from './check-form.ts';
import type { SettingProblem } from './config-problem.ts';
import { canNameFeature } from './feature-name.ts';
import type { ParsedRequest, ParsedRequestFeature } from './request-schema.ts';

type Fault = Omit<SettingProblem, 'path'>;

const MAX_FEATURES = 64;

/** Returns the columns of the request features, in the order of their declaration. */
export function resolveRequest(request: ParsedRequest): readonly RequestColumn[] {
  return Object.entries(request).map(([name, said]) => resolveFeature(name, said));
}

function resolveFeature(name: string, said: ParsedRequestFeature): RequestColumn {
  if (typeof said === 'string') return { name, kind: said };
  const { type: kind, min, max, categories, default: value, examples } = said;
  return {
    ...{ name, kind },
    ...(value === undefined ? {} : defaultOf(kind, value)),
    ...(categories === undefined ? {} : { categories: resolveCategories(categories) }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(examples === undefined ? {} : { examples: examples.map(asFeature) }),
  };
}

/** Returns the default in the form of a batch, where NaN is a null of a column with `nullAs`. */
function defaultOf(kind: FeatureKind, value: Value): Pick<RequestColumn, 'default' | 'nullAs'> {
  return kind === 'number' && value === 'nan' ? { default: null, nullAs: 'nan' } : { default: asFeature(value) };
}

type Value = number | string | boolean;

function asFeature(value: Value): number | string {
  return typeof value === 'boolean' ? Number(value) : value;
}

/** Returns a request feature in the form of a config. */
export function wordsOfRequest(column: RequestColumn): unknown {
  const { kind, default: value, nullAs, min, max, categories, examples } = column;
  const said = (one: number | string) => (kind === 'boolean' ? one === 1 : one);
  return {
    type: kind,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(categories === undefined ? {} : { categories: wordsOf(categories) }),
    ...(value === undefined ? {} : { default: value === null ? nullAs : said(value) }),
    ...(examples === undefined ? {} : { examples: examples.map(said) }),
  };
}

export function* requestProblems(predictor: PartialPredictor, at: At): Iterable<SettingProblem> {
  const { request } = predictor;
  if (request === undefined) return;
  const { length } = Object.keys(request);
  if (length === 0) return yield { path: at('request'), problem: 'is empty', remedy: 'remove it' };
  if (length > MAX_FEATURES) {
    const problem = `declares ${length} features, but a call sends at most ${MAX_FEATURES}`;
    const remedy = 'declare fewer, or compute some of them in the feature query';
    return yield { path: at('request'), problem, remedy };
  }
  for (const [name, said] of Object.entries(request)) yield* featureProblems(name, said, at);
  yield* policyProblems(request, predictor, at);
}

/**
 * Yields problems of policies that contradict the request features: no call could use the features, or no run would be
 * possible.
 */
function* policyProblems(
  request: ParsedRequest,
  { freshness, batch }: PartialPredictor,
  at: At,
): Iterable<SettingProblem> {
  if (freshness?.live === false) {
    const problem = 'has no effect with freshness.live: false, since only live inference uses features of a call';
    return yield { path: at('request'), problem, remedy: 'remove one of the two' };
  }
  const required = namesWithoutDefault({ request: resolveRequest(request) });
  if (required.length === 0) return;
  const why = `since runs score with the defaults, and ${required.join(', ')} ${required.length > 1 ? 'have' : 'has'} none`;
  if (batch?.schedule !== undefined) {
    yield { path: at('batch', 'schedule'), problem: `cannot be kept, ${why}`, remedy: REMEDY };
  }
  if (freshness?.refresh) {
    yield { path: at('freshness', 'refresh'), problem: `has no effect, ${why}`, remedy: REMEDY };
  }
}

const REMEDY = 'remove it, or add a default to each request feature';

function* featureProblems(name: string, said: ParsedRequestFeature, at: At): Iterable<SettingProblem> {
  if (!canNameFeature(name)) {
    const remedy = 'write a name of 1 to 63 bytes that is not user_id';
    return yield { path: at('request', name), problem: 'is not a valid feature name', remedy };
  }
  if (typeof said === 'string') return;
  const column = resolveFeature(name, said);
  const conflict = settingFault(said);
  if (conflict) {
    const { setting, ...fault } = conflict;
    return yield { path: at('request', name, setting), ...fault };
  }
  const values = [
    ...(said.default === undefined || column.default === null ? [] : [[said.default, ['default']] as const]),
    ...(said.examples ?? []).map((value, i) => [value, ['examples', i]] as const),
  ];
  for (const [value, keys] of values) {
    const fault = valueFault(column, value);
    if (fault) yield { path: at('request', name, ...keys), ...fault };
  }
}

function valueFault(column: RequestColumn, value: Value): Fault | null {
  const fault = requestValueFault(column, value);
  if (fault === null) return null;
  const remedy = `write ${describeRequestColumn(column)}${column.kind === 'string' ? ` of at most ${MAX_REQUEST_TEXT} characters` : ''}`;
  return { problem: `is ${shown(value)}, which ${fault}`, remedy };
}

type Settings = Exclude<ParsedRequestFeature, string>;

/** Returns the fault of a setting that contradicts the type of the feature or another setting. */
function settingFault({ type, min, max, categories }: Settings): (Fault & { readonly setting: string }) | null {
  const bound = min !== undefined ? 'min' : max !== undefined ? 'max' : null;
  if (bound && (type === 'string' || type === 'boolean')) {
    return { setting: bound, problem: `has no effect on a ${type}`, remedy: "remove it, or write type: 'number'" };
  }
  if (min !== undefined && max !== undefined && min > max) {
    return {
      setting: 'max',
      problem: `is ${max}, which is less than min (${min})`,
      remedy: 'write a max that is not below min',
    };
  }
  if (categories === undefined) return null;
  if (type !== 'string') {
    return {
      setting: 'categories',
      problem: `are texts, but the type is ${type}`,
      remedy: "remove them, or write type: 'string'",
    };
  }
  if (Array.isArray(categories) || categories.unknown === undefined) return null;
  const { as, unknown } = categories;
  if ((as === 'one-hot') === (unknown === 'zeros')) return null;
  const counts = as === 'one-hot' ? "'zeros'" : "a number or 'nan'";
  const problem = `set unknown: ${shown(unknown)}, but with as: '${as}' an unknown text counts as ${counts}`;
  return { setting: 'categories', problem, remedy: `write ${counts}` };
}

interface SaidCategories {
  readonly values: readonly string[];
  readonly as: Categories['encoding'];
  readonly unknown?: Categories['unknownAs'] | undefined;
}

export function resolveCategories(said: readonly string[] | SaidCategories): Categories {
  if ('values' in said && !Array.isArray(said)) {
    const { values, as: encoding, unknown } = said as SaidCategories;
    return { values, encoding, ...(unknown === undefined ? {} : { unknownAs: unknown }) };
  }
  return { values: said as readonly string[], encoding: 'index' };
}

/** Returns the categories as a config declares them. */
export function wordsOf({ values, encoding, unknownAs }: Categories) {
  return { values, as: encoding, ...(unknownAs === undefined ? {} : { unknown: unknownAs }) };
}
