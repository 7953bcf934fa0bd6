/**
 * Request features: values that a call sends in addition to the features of the feature query, such as the amount of a
 * payment. They are checked against the declaration of the model version that serves the user, and become further
 * columns of a batch.
 */
import { invalidInput } from './errors.ts';
import type { FeatureBatch, FeatureValues } from './features.ts';
import type { Categories, FeatureKind, ModelDefinition, ModelInput, RequestColumn } from './predictor.ts';
import type { RequestFeatures } from './read-options.ts';
import { holdsNumber } from './tensor-ranges.ts';

/** The request features of one prediction, checked. */
export interface RequestRow {
  readonly sent: RequestFeatures;
  /** The values, in the order of the model version's request columns. */
  readonly values: readonly (number | string | null)[];
}

/** The rows of a read by user. */
export type RequestedRows = ReadonlyMap<string, readonly RequestRow[]>;

type Requested = Pick<ModelDefinition, 'predictor' | 'request'> & Partial<Pick<ModelDefinition, 'inputs'>>;

/** The maximum length of a text, in UTF-16 units. */
export const MAX_REQUEST_TEXT = 1_024;

/**
 * Returns the names of the request features without a default. If a version has any, no run can score users with it.
 */
export function namesWithoutDefault({ request = [] }: Pick<Requested, 'request'>): readonly string[] {
  return request.filter((column) => column.default === undefined).map(({ name }) => name);
}

/**
 * Checks what a call sends for one user. Throws `invalid_input`; its `field` names the row and the feature.
 * @param isKnown returns whether any arm of the predictor declares a name; a name that only another arm declares is
 * ignored
 * @param field the path of the row: `users[3]`
 */
export function checkRequest(
  { predictor, request = [], inputs = [] }: Requested,
  sent: RequestFeatures,
  isKnown: (name: string) => boolean,
  field: string,
): RequestRow {
  for (const name of Object.keys(sent)) {
    if (request.some((column) => column.name === name) || isKnown(name)) continue;
    const names = request.map((column) => column.name);
    const remedy =
      names.length === 0 ? 'leave it out: the predictor takes none' : `leave it out, or use one of ${names.join(', ')}`;
    const problem = `is no request feature of predictor ${predictor}`;
    throw invalidInput(`${field}.features.${name.slice(0, 80)}`, problem, remedy);
  }
  return { sent, values: request.map((column) => givenValue(column, inputs, sent, field)) };
}

/** The columns that a call may fill. The first `nullable` of them accept null, as in SQL. */
interface GivenColumns {
  readonly columns: readonly RequestColumn[];
  readonly nullable: number;
}

/**
 * Returns a value for each column of a row. Throws `invalid_input`; its `field` names the row and the feature.
 * @param field the path of the row: `rows[3]`
 */
export function valuesOf(
  { predictor, inputs = [] }: Requested,
  features: Readonly<Record<string, number | string | boolean | null>>,
  { columns, nullable }: GivenColumns,
  field: string,
): (number | string | null)[] {
  for (const name of Object.keys(features)) {
    if (columns.some((column) => column.name === name)) continue;
    const remedy = `leave it out, or use one of ${columns.map((column) => column.name).join(', ')}`;
    throw invalidInput(`${field}.features.${name.slice(0, 80)}`, `is not a feature of predictor ${predictor}`, remedy);
  }
  return columns.map((column, i) => {
    const isNull = i < nullable && Object.hasOwn(features, column.name) && features[column.name] === null;
    return isNull ? null : givenValue(column, inputs, features as RequestFeatures, field);
  });
}

function givenValue(
  column: RequestColumn,
  inputs: readonly ModelInput[],
  sent: RequestFeatures,
  field: string,
): number | string | null {
  const value = Object.hasOwn(sent, column.name) ? sent[column.name] : undefined;
  const at = `${field}.features.${column.name}`;
  if (value !== undefined) {
    const input = inputs.find(({ columns }) => columns.includes(column.name));
    return checkValue(column, input, value, at);
  }
  if (column.default !== undefined) return column.default;
  throw invalidInput(at, 'is missing, and has no default', `send ${describeRequestColumn(column)}`);
}

function checkValue(
  column: RequestColumn,
  input: ModelInput | undefined,
  value: RequestFeatures[string],
  at: string,
): number | string {
  const unheld = input ? inputFault(input, value) : null;
  const fault = requestValueFault(column, value) ?? unheld;
  if (fault === null) return typeof value === 'boolean' ? Number(value) : value;
  if (fault === unheld) throw invalidInput(at, fault, `send a number that ${input?.type} holds`);
  throw invalidInput(at, fault, `send ${describeRequestColumn(column)}`);
}

/** Returns why the model's input cannot hold a value that the column accepts; null if it can. */
export function inputFault({ name, type }: ModelInput, value: RequestFeatures[string]): string | null {
  if (typeof value !== 'number' || type === 'string' || holdsNumber(type, value)) return null;
  return `is a number that the model's input ${name} of type ${type} cannot hold`;
}

/** Returns why the column does not accept a value; null if it does. */
export function requestValueFault({ kind, min, max, categories }: RequestColumn, value: unknown): string | null {
  if (!isOfKind(kind, value)) return `is not ${KINDS[kind]}`;
  if (typeof value === 'string') return textFault(value, categories);
  if (min !== undefined && (value as number) < min) return `is less than ${min}`;
  if (max !== undefined && (value as number) > max) return `is greater than ${max}`;
  return null;
}

const KINDS: Readonly<Record<FeatureKind, string>> = {
  number: 'a finite number',
  integer: 'a whole number up to 2^53',
  boolean: 'true or false',
  string: 'a text',
};

function isOfKind(kind: FeatureKind, value: unknown): boolean {
  switch (kind) {
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'integer':
      return Number.isSafeInteger(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'string':
      return typeof value === 'string';
  }
}

function textFault(value: string, categories: Categories | undefined): string | null {
  if (value.length > MAX_REQUEST_TEXT) return `is longer than ${MAX_REQUEST_TEXT} characters`;
  if (!categories || categories.unknownAs !== undefined || categories.values.includes(value)) return null;
  return 'is not one of its categories';
}

/** Returns what a call must send for a column, as a text: `a finite number from 0 to 100`, `one of "web", "app"`. */
export function describeRequestColumn({ kind, min, max, categories }: RequestColumn): string {
  if (categories) {
    const some = categories.values.slice(0, 8).map((text) => JSON.stringify(text));
    return `one of ${some.join(', ')}${some.length < categories.values.length ? ', …' : ''}`;
  }
  const from = min === undefined ? '' : ` from ${min}`;
  const to = max === undefined ? '' : min === undefined ? ` of at most ${max}` : ` to ${max}`;
  return `${KINDS[kind]}${from}${to}`;
}

/**
 * Returns the batch with the version's request features after its columns, each with its default, or null if it has no
 * default.
 */
export function withRequestDefaults({ request }: Requested, batch: FeatureBatch): FeatureBatch {
  if (request === undefined) return batch;
  const users = batch.userIds.length;
  const defaults = request.map(
    ({ default: value = null }): FeatureValues =>
      typeof value === 'number' ? new Float64Array(users).fill(value) : new Array(users).fill(value),
  );
  return {
    ...batch,
    columns: [...batch.columns, ...request],
    values: [...batch.values, ...defaults],
    requestFrom: batch.columns.length,
  };
}

/** A row of request features, and the number of its user's row in the batch. */
export interface UserRequest {
  readonly row: number;
  readonly request: RequestRow;
}

/**
 * Returns the batch with a further row for each request: the user's own features and label, and the values of the request.
 * The rows of the batch keep their numbers; the first further row is that of the first request.
 */
export function withRequestRows(batch: FeatureBatch, requests: readonly UserRequest[]): FeatureBatch {
  const { userIds, contextVersions, columns, values, requestFrom = columns.length } = batch;
  const users = userIds.length;
  const fromEvents = new Map(batch.fromEvents);
  const sent = new Map(batch.sent);
  requests.forEach(({ row, request }, i) => {
    const laid = batch.fromEvents?.get(row);
    if (laid) fromEvents.set(users + i, laid);
    sent.set(users + i, request.sent);
  });
  return {
    ...batch,
    userIds: [...userIds, ...requests.map(({ row }) => userIds[row] as string)],
    contextVersions: [...contextVersions, ...requests.map(({ row }) => contextVersions[row] as number)],
    values: values.map((column, i) =>
      further(
        column,
        requests.map(({ row, request }) => (i < requestFrom ? column[row] : request.values[i - requestFrom]) ?? null),
      ),
    ),
    fromEvents,
    sent,
  };
}

function further(column: FeatureValues, values: readonly (number | string | null)[]): FeatureValues {
  if (!(column instanceof Float64Array) || !values.every((value) => typeof value === 'number')) {
    return [...column, ...values];
  }
  const whole = new Float64Array(column.length + values.length);
  whole.set(column);
  whole.set(values, column.length);
  return whole;
}
