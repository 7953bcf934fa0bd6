/**
 * Checks the form of a config value, and reports all problems at once in the terms of the config. Invalid settings are
 * removed, so that the rest can be checked together.
 */
import type { z } from 'zod';
import { nearestName, type SettingProblem, writeNearest } from './config-problem.ts';
import { configSchema, type ParsedConfig, type ParsedPredictor, settingsAt } from './config-schema.ts';

/** A predictor with settings that may be missing. */
export type PartialPredictor = {
  readonly [K in keyof ParsedPredictor]?: K extends 'outputs' | 'inputs' | 'request'
    ? ParsedPredictor[K]
    : Loose<ParsedPredictor[K]>;
};
type Loose<T> = T extends object ? { readonly [K in keyof T]?: T[K] } : T;

export type FormCheck =
  | { readonly ok: true; readonly config: ParsedConfig }
  | {
      readonly ok: false;
      readonly problems: readonly SettingProblem[];
      /** The settings of each predictor that are valid in form. */
      readonly rest: Readonly<Record<string, PartialPredictor>>;
    };

export function checkForm(value: unknown): FormCheck {
  const result = configSchema.safeParse(value);
  if (result.success) return { ok: true, config: result.data };
  const { issues } = result.error;
  return { ok: false, problems: issues.flatMap((issue) => problemsOfIssue(issue, value)), rest: restOf(value, issues) };
}

/** Returns the path of a setting of a predictor. */
export type At = (...keys: (string | number)[]) => string;

/**
 * Returns a path such as `predictors.repurchase.outputs.score`, with brackets for other names and for indices:
 * `predictors["my name"]`, `events[0]`.
 */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const plain = /^[A-Za-z_$][\w$-]*$/.test(String(key));
    if (!plain) return `${text}[${JSON.stringify(String(key))}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

/** Returns a value as messages show it: short, and on one line. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'string' && typeof value !== 'object') return String(value);
  const text =
    typeof value === 'string' || value === null
      ? JSON.stringify(value)
      : Array.isArray(value)
        ? 'an array'
        : 'an object';
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
}

function problemsOfIssue(issue: z.core.$ZodIssue, root: unknown): SettingProblem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownSetting(issue.path, key));
  const path = pathText(issue.path);
  if (issue.code === 'custom') return [{ path, problem: issue.message, remedy: String(issue.params?.remedy) }];
  const value = valueAt(root, issue.path);
  if (issue.code === 'invalid_union') {
    const inside = issuesInside(issue);
    if (inside) return inside.flatMap((one) => problemsOfIssue(one, root));
  }
  const what = issue.code === 'invalid_union' && typeof value === 'string' ? wordForm(issue) : issue.message;
  const problem = value === undefined ? 'is missing' : `is ${shown(value)}, not ${what}`;
  return [{ path, problem, remedy: suggestion(value, issue) ?? `write ${what}` }];
}

/** Returns the problems inside the form that the value has, if a setting allows several forms. */
function issuesInside({ errors, path }: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue[] | undefined {
  const meant = errors.find((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys' || issue.code === 'custom'),
  );
  return meant?.map((issue) => ({ ...issue, path: [...path, ...issue.path] }));
}

function unknownSetting(parent: readonly PropertyKey[], key: string): SettingProblem {
  const known = settingsAt(parent);
  const remedy = writeNearest(key, known) ?? `remove it; the settings here are ${known.join(', ')}`;
  return { path: pathText([...parent, key]), problem: 'is not a setting of Tandem', remedy };
}

/** Returns the allowed words for a text, if one of the allowed forms is a set of words. */
function wordForm(issue: z.core.$ZodIssueInvalidUnion): string {
  const [first] = issue.errors[0] ?? [];
  return first?.code === 'invalid_value' ? first.message : issue.message;
}

/** Returns the most similar allowed word for a misspelt one. */
function suggestion(value: unknown, issue: z.core.$ZodIssue): string | undefined {
  const found = issue.code === 'invalid_union' ? issue.errors[0]?.[0] : issue;
  if (typeof value !== 'string' || found?.code !== 'invalid_value') return undefined;
  const meant = nearestName(value, found.values.map(String));
  return meant && `write '${meant}'`;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), root);
}

function isRecord(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null;
}

function restOf(root: unknown, issues: readonly z.core.$ZodIssue[]): Record<string, PartialPredictor> {
  const wrong = new Set(
    issues.filter((issue) => issue.code !== 'unrecognized_keys').map((issue) => settingOf(issue.path)),
  );
  const predictors = valueAt(root, ['predictors']);
  const rest: Record<string, PartialPredictor> = {};
  if (!isRecord(predictors) || wrong.has(JSON.stringify(['predictors']))) return rest;
  for (const [name, predictor] of Object.entries(predictors)) {
    const path = ['predictors', name];
    rest[name] = isRecord(predictor) && !wrong.has(JSON.stringify(path)) ? rightParts(predictor, path, wrong) : {};
  }
  return rest;
}

/** Sections that are removed as a whole if a part is invalid. In other sections only the invalid setting is removed. */
const WHOLES: readonly unknown[] = ['outputs', 'inputs', 'request'];

function settingOf(path: readonly PropertyKey[]): string {
  return JSON.stringify(path.slice(0, WHOLES.includes(path[2]) ? 3 : 4));
}

function rightParts(
  predictor: Record<PropertyKey, unknown>,
  path: string[],
  wrong: ReadonlySet<string>,
): PartialPredictor {
  const right = (at: string[]) => !wrong.has(JSON.stringify(at));
  const sections = Object.entries(predictor).filter(([section]) => right([...path, section]));
  return Object.fromEntries(
    sections.map(([section, settings]) => {
      if (!isRecord(settings) || WHOLES.includes(section)) return [section, settings];
      const kept = Object.entries(settings).filter(([setting]) => right([...path, section, setting]));
      return [section, Object.fromEntries(kept)];
    }),
  );
}
