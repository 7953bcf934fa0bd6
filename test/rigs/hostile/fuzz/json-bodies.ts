/** Generates bodies from a schema: valid, nearly valid, and meaningless ones. */
import fc from 'fast-check';
import type { Schema } from './document.ts';
import type { Definitions } from './schema-walk.ts';
import { nearly, oddTexts } from './texts.ts';

/** Values that are meaningful for the service, by the name of the property. */
const MEANT: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  inputs: fc
    .integer({ min: 0, max: 4 })
    .chain((rows) => fc.oneof(tensorOfUsers(rows), tensorOfFeatures(rows)).map((one) => [one])),
  outputs: fc.subarray(['score', 'tandem.error'], { maxLength: 1 }).map((names) => names.map((name) => ({ name }))),
  predictor: fc.constant('count'),
  subject: fc.integer({ min: 1, max: 20 }).map(String),
  userIds: fc.array(fc.integer({ min: 1, max: 25 }).map(String), { minLength: 1, maxLength: 12 }),
  userId: fc.integer({ min: 1, max: 25 }).map(String),
  // The predictor declares no request features. A push may omit all settings of its features.
  features: fc.oneof(
    { weight: 7, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.constant({ amount: 12.5 }) },
  ),
  // Rejected together with userIds.
  users: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constant([{ userId: '7', features: {} }]) },
  ),
  by: fc.constant('score'),
  itemsAsOf: fc.constant('2026-11-24T10:50:00Z'),
  type: fc.constantFrom('changed', 'order.placed'),
  time: fc.constant(null).map(() => new Date(Date.now() - 60_000).toISOString()),
  datacontenttype: fc.constant('application/json'),
  to: fc.constantFrom('1', '2'),
  version: fc.constantFrom('1', '2'),
  variant: fc.constantFrom('second', 'candidate', 'stable'),
  // Most scopes accept no budget.
  budget: fc.oneof(
    { weight: 7, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constant({ share: 0.25 }) },
  ),
  steps: fc.constantFrom([5, 100], [100]),
  weight: fc.constantFrom(0.01, 30, 50),
  interval: fc.constantFrom('1s', '1m'),
  minStep: fc.constantFrom('1ms', '10m'),
  window: fc.constantFrom('1h', '14d'),
  slow: fc.constantFrom('50ms', '5s'),
  data: fc.record(
    { changes: fc.oneof(fc.nat(1_000), fc.constant(null)), load: fc.double({ noNaN: true, noDefaultInfinity: true }) },
    { requiredKeys: [] },
  ),
};

function tensorOfUsers(rows: number): fc.Arbitrary<object> {
  const users = fc.array(fc.integer({ min: 1, max: 25 }).map(String), { minLength: rows, maxLength: rows });
  return users.map((data) => ({ name: 'user_id', datatype: 'BYTES', shape: [rows], data }));
}

function tensorOfFeatures(rows: number): fc.Arbitrary<object> {
  const values = fc.array(fc.nat(1_000), { minLength: rows, maxLength: rows });
  return values.map((data) => ({ name: 'features', datatype: 'FP32', shape: [rows, 1], data }));
}

/** Generates values that the schema allows. */
export function valid(schema: Schema, definitions: Definitions, name = ''): fc.Arbitrary<unknown> {
  const meant = MEANT[name];
  if (meant) return meant;
  const {
    $ref,
    allOf,
    anyOf,
    oneOf,
    enum: values,
  } = schema as {
    $ref?: string;
    allOf?: readonly Schema[];
    anyOf?: readonly Schema[];
    oneOf?: readonly Schema[];
    enum?: readonly unknown[];
  };
  const one = $ref === undefined ? allOf?.[0] : definitions.get($ref);
  if (one) return valid(one, definitions, name);
  const choices = anyOf ?? oneOf;
  if (choices) return fc.oneof(...choices.map((choice) => valid(choice, definitions, name)));
  if (values) return fc.constantFrom(...values);
  return ofType(schema, definitions);
}

function ofType(schema: Schema, definitions: Definitions): fc.Arbitrary<unknown> {
  switch (schema.type) {
    case 'object':
      return objectOf(schema, definitions);
    case 'array':
      return fc.array(valid(schema.items as Schema, definitions), { minLength: 1, maxLength: 5 });
    case 'integer':
      return fc.integer({ min: Number(schema.minimum ?? 1), max: Number(schema.maximum ?? 100) });
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true, ...boundsOf(schema) });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      return schema.format === 'uuid' ? fc.uuid() : fc.stringMatching(/^[a-z0-9-]{1,20}$/);
  }
}

function boundsOf({ minimum, maximum }: Schema): { min?: number; max?: number } {
  return {
    ...(minimum === undefined ? {} : { min: Number(minimum) }),
    ...(maximum === undefined ? {} : { max: Number(maximum) }),
  };
}

function objectOf(schema: Schema, definitions: Definitions): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
  const requiredKeys = (schema.required ?? []) as string[];
  const record = Object.fromEntries(properties.map(([name, one]) => [name, valid(one, definitions, name)]));
  // A read of many users needs one of two properties. Without userIds hardly any request would be valid.
  const needed = (name: string) => requiredKeys.includes(name) || name === 'userIds';
  return fc.record(record, { requiredKeys: Object.keys(record).filter(needed) });
}

/** Generates bodies as text: valid by the schema, invalid in one place, or any text. */
export function bodyTexts(schema: Schema, definitions: Definitions): fc.Arbitrary<string> {
  const good = valid(schema, definitions);
  return fc.oneof(
    { weight: 5, arbitrary: good.map((value) => JSON.stringify(value)) },
    { weight: 4, arbitrary: fc.tuple(good, fc.nat(), odd()).map(([value, at, other]) => spoil(value, at, other)) },
    { weight: 1, arbitrary: good.chain((value) => nearly(JSON.stringify(value))) },
    { weight: 1, arbitrary: fc.json({ maxDepth: 4 }) },
    { weight: 1, arbitrary: fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), oddTexts()) },
  );
}

/** Generates an unusual value as text. */
function odd(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.constantFrom(
      'null',
      '[]',
      '{}',
      '""',
      '-0',
      '1e400',
      '1e308',
      '9007199254740993',
      '{"__proto__":1}',
      '"\\ud800"',
    ),
    oddTexts().map((text) => JSON.stringify(text)),
    fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
  );
}

/** Replaces a value by another text, adds the text next to a value, or removes a value. */
function spoil(value: unknown, at: number, other: string): string {
  const text = JSON.stringify(value);
  const places = [...text.matchAll(/"(?:[^"\\]|\\.)*"(:?)|-?\d[\d.e+-]*|true|false|null/g)].filter(
    ([, colon]) => !colon,
  );
  const place = places[at % Math.max(1, places.length)];
  if (!place) return other;
  const end = place.index + place[0].length;
  switch (at % 4) {
    case 0:
      return `${text.slice(0, end)},"unknown":${other}${text.slice(end)}`;
    case 1:
      return text.slice(0, place.index) + text.slice(end).replace(/^,/, '');
    default:
      return text.slice(0, place.index) + other + text.slice(end);
  }
}
