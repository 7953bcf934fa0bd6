/** Assigns the columns of a feature query their roles: the key, `asOf`, the features. */
import type { FeatureColumn, FeatureKind } from '@tandem/freshness/predictor';
import type { KeyType } from '@tandem/freshness/user-id';
import { pathText } from '../predictor/check-form.ts';
import type { SettingProblem } from '../predictor/config-problem.ts';
import type { ResolvedPredictor } from '../predictor/resolve-predictor.ts';

/**
 * A column as Postgres describes it, with a type such as `int4` or `integer`, `numeric(10,2)`, `timestamp with time
 * zone`, …
 */
export interface QueryColumn {
  readonly name: string;
  readonly type: string;
}

const FULL_NAMES: Readonly<Record<string, string>> = {
  smallint: 'int2',
  integer: 'int4',
  bigint: 'int8',
  real: 'float4',
  'double precision': 'float8',
  boolean: 'bool',
  'character varying': 'varchar',
  character: 'bpchar',
  'timestamp with time zone': 'timestamptz',
  'timestamp without time zone': 'timestamp',
  'time without time zone': 'time',
  decimal: 'numeric',
};

const KINDS: Readonly<Record<string, FeatureKind>> = {
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  float4: 'number',
  float8: 'number',
  bool: 'boolean',
  text: 'string',
  varchar: 'string',
  bpchar: 'string',
};

const KEYS: Readonly<Record<string, KeyType>> = {
  int2: 'int8',
  int4: 'int8',
  int8: 'int8',
  uuid: 'uuid',
  text: 'text',
  varchar: 'text',
};

/** Returns the roles of the columns; undefined if it added problems to `problems`. */
export function readQueryColumns(
  predictor: ResolvedPredictor,
  columns: readonly QueryColumn[],
  problems: SettingProblem[],
) {
  const before = problems.length;
  const at = (setting: string) => pathText(['predictors', predictor.name, 'features', setting]);
  const { asOf } = predictor.features;
  problems.push(...nameProblems(columns, at('sql')));
  const keyType = readKey(columns, at('sql'), problems);
  if (asOf !== null) problems.push(...asOfProblems(asOf, columns, at('asOf')));
  const rest = columns.filter(({ name }) => name !== 'user_id' && name !== asOf);
  if (rest.length === 0) {
    const remedy = "select the features beside user_id, in the model's order";
    problems.push({ path: at('sql'), problem: 'has no feature column', remedy });
  }
  const features = rest.flatMap((column) => readFeature(column, asOf, at('sql'), problems));
  return keyType && problems.length === before ? { keyType, features } : undefined;
}

function nameProblems(columns: readonly QueryColumn[], path: string): SettingProblem[] {
  const names = columns.map(({ name }) => name);
  const twice = new Set(names.filter((name, i) => names.indexOf(name) !== i));
  return [...new Set(names)].flatMap((name) => {
    if (name === '?column?') {
      return [{ path, problem: 'has a column without a name', remedy: 'name it with as: … as visits' }];
    }
    if (!twice.has(name)) return [];
    return [{ path, problem: `has two columns ${name}`, remedy: 'leave one out, or rename it with as' }];
  });
}

function readKey(columns: readonly QueryColumn[], path: string, problems: SettingProblem[]): KeyType | undefined {
  const key = columns.find(({ name }) => name === 'user_id');
  if (!key) {
    const problem = `has no column user_id; it has ${columns.map(({ name }) => name).join(', ') || 'none'}`;
    problems.push({ path, problem, remedy: "rename the user's key: select customer_id as user_id, …" });
    return undefined;
  }
  const keyType = KEYS[plainType(key.type)];
  if (!keyType) {
    const problem = `has a user_id of type ${key.type}`;
    problems.push({ path, problem, remedy: 'use a key of type smallint, integer, bigint, uuid, text or varchar' });
  }
  return keyType;
}

function asOfProblems(asOf: string, columns: readonly QueryColumn[], path: string): SettingProblem[] {
  const column = columns.find(({ name }) => name === asOf);
  if (!column || asOf === 'user_id') {
    const others = columns.filter(({ type }) => plainType(type) === 'timestamptz').map(({ name }) => name);
    const added = asOf === 'user_id' ? 'a column of the time' : asOf;
    const remedy = others.length > 0 ? `use one of ${others.join(', ')}` : `add ${added} to the query as a timestamptz`;
    const problem = asOf === 'user_id' ? 'user_id is the key, not a time' : `the query has no column ${asOf}`;
    return [{ path, problem, remedy }];
  }
  if (plainType(column.type) === 'timestamptz') return [];
  const problem = `column ${asOf} is of type ${column.type}, not timestamptz`;
  const remedy = `convert it to a time on the database's clock: (${asOf} at time zone 'UTC') as ${asOf}, with its real time zone`;
  return [{ path, problem, remedy }];
}

function readFeature(
  column: QueryColumn,
  asOf: string | null,
  path: string,
  problems: SettingProblem[],
): FeatureColumn[] {
  const kind = KINDS[plainType(column.type)];
  if (kind) return [{ name: column.name, kind }];
  const problem = `column ${column.name} is of type ${column.type}, which cannot be a feature`;
  problems.push({ path, problem, remedy: conversion(column, asOf) });
  return [];
}

function conversion({ name, type }: QueryColumn, asOf: string | null): string {
  switch (plainType(type)) {
    case 'numeric':
    case 'money':
      return `cast it: ${name}::${plainType(type) === 'money' ? 'numeric::' : ''}float8 as ${name}`;
    case 'timestamptz':
    case 'timestamp': {
      const asNumber = `turn it into seconds: extract(epoch from ${name})::float8 as ${name}`;
      return asOf === null ? `${asNumber}; if it says when the row was loaded, name it in features.asOf` : asNumber;
    }
    case 'interval':
    case 'time':
      return `turn it into seconds: extract(epoch from ${name})::float8 as ${name}`;
    case 'date':
      return `turn it into days: (${name} - date '1970-01-01') as ${name}`;
    case 'uuid':
      return `cast it: ${name}::text as ${name}, or leave it out`;
    default:
      return `leave it out, or turn it into an integer, float8, boolean or text: ${name}::text as ${name}`;
  }
}

/**
 * Returns the columns of type character(n). Postgres pads their texts with blanks, and for a model `paid  ` is not
 * `paid`.
 */
export function paddedColumns(columns: readonly QueryColumn[]): readonly QueryColumn[] {
  return columns.filter(({ type }) => plainType(type) === 'bpchar');
}

/**
 * Returns the short name of a type without its modifiers: `numeric(10,2)` → `numeric`, `timestamp(3) with time zone` →
 * `timestamptz`.
 */
function plainType(type: string): string {
  const bare = type
    .toLowerCase()
    .replace(/^pg_catalog\./, '')
    .replace(/\([^)]*\)/, '')
    .replace(/\s+/g, ' ')
    .trim();
  return FULL_NAMES[bare] ?? bare;
}
