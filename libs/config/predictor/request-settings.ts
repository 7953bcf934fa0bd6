/** Checks the setting `request` of a predictor, and converts its values to columns. */
import type { Categories, FeatureKind, RequestColumn } from '@tandem/freshness/predictor';
import {
  describeRequestColumn,
  MAX_REQUEST_TEXT,
  namesWithoutDefault,
  requestValueFault,
} from '@tandem/freshness/request-features';
import type { PartialPredictor } from './check-form.ts';
import { shown } from './check-form.ts';
import type { SettingProblem } from './config-problem.ts';
import { canNameFeature } from './feature-name.ts';
import type { ParsedRequest, ParsedRequestFeature } from './request-schema.ts';
import { resolveCategories } from './resolve-categories.ts';

type At = (...keys: (string | number)[]) => string;
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
export function wordsOfRequest(column: RequestColumn, wordsOf: (categories: Categories) => unknown): unknown {
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

export function requestProblems({ request, freshness, batch }: PartialPredictor, at: At): SettingProblem[] {
  if (request === undefined) return [];
  const names = Object.keys(request);
  if (names.length === 0) return [{ path: at('request'), problem: 'is empty', remedy: 'remove it' }];
  if (names.length > MAX_FEATURES) {
    const problem = `declares ${names.length} features, but a call sends at most ${MAX_FEATURES}`;
    return [{ path: at('request'), problem, remedy: 'declare fewer, or compute some of them in the feature query' }];
  }
  return [
    ...Object.entries(request).flatMap(([name, said]) => featureProblems(name, said, at)),
    ...policyProblems(request, { freshness, batch }, at),
  ];
}

/**
 * Returns problems of policies that contradict the request features: no call could use the features, or no run would be
 * possible.
 */
function policyProblems(
  request: ParsedRequest,
  { freshness, batch }: Pick<PartialPredictor, 'freshness' | 'batch'>,
  at: At,
): SettingProblem[] {
  if (freshness?.live === false) {
    const problem = 'has no effect with freshness.live: false, since only live inference uses features of a call';
    return [{ path: at('request'), problem, remedy: 'remove one of the two' }];
  }
  const required = namesWithoutDefault({ request: resolveRequest(request) });
  if (required.length === 0) return [];
  const why = `since runs score with the defaults, and ${required.join(', ')} ${required.length > 1 ? 'have' : 'has'} none`;
  const problems: SettingProblem[] = [];
  if (batch?.schedule !== undefined) {
    problems.push({ path: at('batch', 'schedule'), problem: `cannot be kept, ${why}`, remedy: REMEDY });
  }
  if (freshness?.refresh) {
    problems.push({ path: at('freshness', 'refresh'), problem: `has no effect, ${why}`, remedy: REMEDY });
  }
  return problems;
}

const REMEDY = 'remove it, or add a default to each request feature';

function featureProblems(name: string, said: ParsedRequestFeature, at: At): SettingProblem[] {
  const path = at('request', name);
  if (!canNameFeature(name)) {
    return [
      { path, problem: 'is not a valid feature name', remedy: 'write a name of 1 to 63 bytes that is not user_id' },
    ];
  }
  if (typeof said === 'string') return [];
  const column = resolveFeature(name, said);
  const setting = settingFault(said);
  if (setting)
    return [{ path: at('request', name, setting.setting), problem: setting.problem, remedy: setting.remedy }];
  const values = [
    ...(said.default === undefined || column.default === null ? [] : [[said.default, ['default']] as const]),
    ...(said.examples ?? []).map((value, i) => [value, ['examples', i]] as const),
  ];
  return values.flatMap(([value, keys]) => {
    const fault = valueFault(column, value);
    return fault ? [{ path: at('request', name, ...keys), ...fault }] : [];
  });
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
