import { expect, test } from 'vitest';
import { z } from 'zod';
import { renderTypes } from './render-types.ts';

/** Renders the given schemas by name, from a registry without the schemas of the wire. */
function render(schemas: Readonly<Record<string, z.ZodType>>, sent: readonly string[] = []): string {
  const registry: typeof z.globalRegistry = z.registry();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  return renderTypes(sent, registry);
}

test('an object is an interface of read-only fields, with descriptions as doc comments', () => {
  const Thing = z.strictObject({
    name: z.string().describe('What it is called'),
    at: z.iso.datetime().nullable(),
    kind: z.enum(['big', 'small']).optional(),
    'odd-name': z.literal(1),
  });
  expect(render({ Thing })).toBe(
    [
      'export interface Thing {',
      '/** What it is called */',
      'readonly name: string;',
      'readonly at: string | null;',
      "readonly kind?: 'big' | 'small';",
      'readonly "odd-name": 1;',
      '}',
    ].join('\n'),
  );
});

test('lists, records and unions are flattened, and named schemas are named', () => {
  const Part = z.strictObject({ size: z.int() });
  const Whole = z.strictObject({
    parts: z.array(Part),
    values: z.record(z.string(), z.union([z.number(), z.array(z.string())])),
    one: z.union([Part, z.null()]),
    any: z.unknown(),
  });
  const rendered = render({ Part, Whole });
  expect(rendered).toContain('readonly parts: readonly (Part)[];');
  expect(rendered).toContain('readonly values: Readonly<Record<string, number | readonly (string)[]>>;');
  expect(rendered).toContain('readonly one: Part | null;');
  expect(rendered).toContain('readonly any: unknown;');
});

test('a loose object says that it may have more fields', () => {
  expect(render({ Loose: z.looseObject({ a: z.string() }) })).toContain('readonly [name: string]: unknown');
});

test('settings with a default are optional in requests and present in responses', () => {
  const Plan = z.strictObject({ share: z.number().default(0.1) });
  const Rollout = z.strictObject({ plan: Plan });
  const Start = z.strictObject({ plan: Plan });
  const rendered = render({ Plan, Rollout, Start }, ['Start']);
  expect(rendered).toContain('export interface Plan { readonly share: number }');
  expect(rendered).toContain('export interface PlanInput { readonly share?: number }');
  expect(rendered).toContain('export interface Rollout { readonly plan: Plan }');
  expect(rendered).toContain('export interface Start { readonly plan: PlanInput }');
});

test('a schema of a kind without a known type is an error, and is not rendered as `unknown`', () => {
  expect(() => render({ Pair: z.tuple([z.string(), z.number()]) })).toThrow('No type is known');
  expect(() => render({ Odd: z.string().meta({ type: 'decimal' }) })).toThrow('No type is known');
  expect(() => render({ Odd: z.unknown().meta({ format: 'binary' }) })).toThrow('No type is known');
});
