/**
 * Checks a value against a JSON schema (draft 2020-12, as in OpenAPI 3.1). It supports only the keywords that the
 * service's document uses. An unknown keyword is an error, so that nothing stays unchecked.
 */
import type { Schema } from './document.ts';

export type Definitions = ReadonlyMap<string, Schema>;
type Check = (value: unknown, given: never, at: string, schema: Schema, definitions: Definitions) => string[];

/** Returns the faults of a value as sentences that name the place, or an empty list for a valid value. */
export function schemaFaults(value: unknown, schema: Schema, definitions: Definitions, at = 'the body'): string[] {
  return Object.entries(schema).flatMap(([keyword, given]) => {
    if (SILENT.has(keyword)) return [];
    const check = CHECKS[keyword];
    if (!check) throw new Error(`the schema walk does not know the keyword ${keyword} (${at})`);
    return check(value, given as never, at, schema, definitions);
  });
}

/** Keywords that need no check. A discriminator only names the property that selects the schema of `oneOf`. */
const SILENT = new Set(['description', 'example', 'examples', 'default', 'title', 'discriminator']);

const FORMATS: Readonly<Record<string, RegExp>> = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  'date-time': /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/,
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
  array: Array.isArray,
  object: isObject,
};

const CHECKS: Readonly<Record<string, Check>> = {
  type: (value, given: string | readonly string[], at) =>
    [given].flat().some((type) => TYPES[type]?.(value)) ? [] : [`${at} is not of type ${[given].flat().join(' or ')}`],
  enum: (value, given: readonly unknown[], at) =>
    given.includes(value) ? [] : [`${at} is ${JSON.stringify(value)}, not one of ${given.join(', ')}`],
  const: (value, given: unknown, at) => (value === given ? [] : [`${at} is not ${JSON.stringify(given)}`]),
  $ref: (value, given: string, at, _, definitions) => {
    const schema = definitions.get(given);
    return schema ? schemaFaults(value, schema, definitions, at) : [`${at}: ${given} is not defined`];
  },
  allOf: (value, given: readonly Schema[], at, _, definitions) =>
    given.flatMap((one) => schemaFaults(value, one, definitions, at)),
  anyOf: (value, given: readonly Schema[], at, _, definitions) => {
    const found = given.map((one) => schemaFaults(value, one, definitions, at));
    return found.some((faults) => faults.length === 0) ? [] : [`${at} fits none: ${found.flat().join('; ')}`];
  },
  oneOf: (value, given: readonly Schema[], at, _, definitions) => {
    const found = given.map((one) => schemaFaults(value, one, definitions, at));
    const fitting = found.filter((faults) => faults.length === 0).length;
    return fitting === 1 ? [] : [`${at} fits ${fitting} of one: ${found.flat().join('; ')}`];
  },
  required: (value, given: readonly string[], at) =>
    isObject(value)
      ? given.filter((name) => !Object.hasOwn(value, name)).map((name) => `${at}.${name} is missing`)
      : [],
  properties: (value, given: Readonly<Record<string, Schema>>, at, _, definitions) =>
    isObject(value)
      ? Object.entries(given).flatMap(([name, one]) =>
          Object.hasOwn(value, name) ? schemaFaults(value[name], one, definitions, `${at}.${name}`) : [],
        )
      : [],
  additionalProperties: (value, given: boolean | Schema, at, { properties = {} }, definitions) =>
    isObject(value)
      ? Object.entries(value).flatMap(([name, one]) => {
          if (given === true || Object.hasOwn(properties as object, name)) return [];
          return given === false
            ? [`${at}.${name} is not known`]
            : schemaFaults(one, given, definitions, `${at}.${name}`);
        })
      : [],
  items: (value, given: Schema, at, _, definitions) =>
    Array.isArray(value) ? value.flatMap((one, i) => schemaFaults(one, given, definitions, `${at}[${i}]`)) : [],
  exclusiveMinimum: (value, given: number, at) =>
    typeof value === 'number' && value <= given ? [`${at} is not above ${given}`] : [],
  minItems: (value, given: number, at) =>
    Array.isArray(value) && value.length < given ? [`${at} has fewer than ${given} items`] : [],
  maxItems: (value, given: number, at) =>
    Array.isArray(value) && value.length > given ? [`${at} has more than ${given} items`] : [],
  minimum: (value, given: number, at) => (Number(value) < given ? [`${at} is below ${given}`] : []),
  maximum: (value, given: number, at) => (Number(value) > given ? [`${at} is above ${given}`] : []),
  pattern: (value, given: string, at) =>
    typeof value === 'string' && !new RegExp(given, 'u').test(value) ? [`${at} does not match ${given}`] : [],
  format: (value, given: string, at) => {
    const form = FORMATS[given];
    if (!form) throw new Error(`the schema walk does not know the format ${given} (${at})`);
    return typeof value === 'string' && !form.test(value) ? [`${at} is not in the format ${given}`] : [];
  },
};
