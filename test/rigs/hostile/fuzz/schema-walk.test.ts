import { describe, expect, it } from 'vitest';
import type { Schema } from './document.ts';
import { schemaFaults } from './schema-walk.ts';

const definitions = new Map<string, Schema>([
  ['#/components/schemas/User', { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }],
]);
const faults = (value: unknown, schema: Schema) => schemaFaults(value, schema, definitions);

describe('schemaFaults', () => {
  it.each<[string, unknown, Schema, string]>([
    ['a type', 1, { type: 'string' }, 'the body is not of type string'],
    ['several types', true, { type: ['string', 'null'] }, 'is not of type string or null'],
    ['a whole number', 1.5, { type: 'integer' }, 'is not of type integer'],
    ['a list for an object', [], { type: 'object' }, 'is not of type object'],
    ['an enumeration', 'x', { enum: ['a', 'b'] }, 'is "x", not one of a, b'],
    ['a constant', 'x', { const: 'y' }, 'is not "y"'],
    ['a reference', {}, { $ref: '#/components/schemas/User' }, 'the body.id is missing'],
    ['a reference to nothing', {}, { $ref: '#/x' }, '#/x is not defined'],
    ['each of all', 5, { allOf: [{ minimum: 1 }, { maximum: 4 }] }, 'is above 4'],
    ['any of several', 5, { anyOf: [{ type: 'string' }, { type: 'null' }] }, 'fits none'],
    ['a property', { a: 1 }, { properties: { a: { type: 'string' } } }, 'the body.a is not of type string'],
    [
      'an unknown property',
      { b: 1 },
      { properties: { a: {} }, additionalProperties: false },
      'the body.b is not known',
    ],
    ['a further property', { b: 1 }, { additionalProperties: { type: 'string' } }, 'the body.b is not of type string'],
    ['an item', ['a', 1], { items: { type: 'string' } }, 'the body[1] is not of type string'],
    ['too few items', [], { minItems: 1 }, 'fewer than 1'],
    ['too many items', [1, 2], { maxItems: 1 }, 'more than 1'],
    ['a pattern', 'x', { pattern: '^[0-9]+$' }, 'does not match'],
    ['a uuid', 'x', { format: 'uuid' }, 'is not in the format uuid'],
    ['a time', '2026-11-24', { format: 'date-time' }, 'is not in the format date-time'],
  ])('names %s that is wrong', (_, value, schema, fault) => {
    expect(faults(value, schema).join()).toContain(fault);
  });

  it('reports no fault of a valid value', () => {
    const schema = {
      type: 'object',
      properties: {
        user: { allOf: [{ $ref: '#/components/schemas/User' }], description: 'whose' },
        times: { type: 'array', items: { anyOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }] } },
      },
      required: ['user'],
      additionalProperties: false,
    };
    expect(faults({ user: { id: '1' }, times: ['2026-11-24T10:12:00.5Z', null] }, schema)).toEqual([]);
  });

  it('throws at a keyword or format that it does not know', () => {
    expect(() => faults('x', { contentEncoding: 'base64' })).toThrow('keyword contentEncoding');
    expect(() => faults('x', { format: 'hostname' })).toThrow('format hostname');
  });
});
