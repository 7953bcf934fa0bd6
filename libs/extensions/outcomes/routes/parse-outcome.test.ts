import { describe, expect, it } from 'vitest';
import { OutcomesBodySchema } from '../wire.ts';
import { parseOutcome } from './parse-outcome.ts';

const sent = (changes: object = {}) => ({ id: 'order-1', userId: '42', name: 'order', ...changes });
const parse = (changes: object = {}) => parseOutcome(sent(changes), 'outcomes[3].', 'int8');

describe('an outcome', () => {
  it('needs an id, a user and a name; by default its value is 1 and it has no time', () => {
    const least = { source: 'api', id: 'order-1', userId: '42', name: 'order', value: 1, time: null };
    expect(parse()).toEqual(least);
    expect(parse({ source: null, time: null })).toEqual(least);
    expect(OutcomesBodySchema.safeParse(sent({ source: null, time: null })).success).toBe(true);
    expect(parse({ source: '/shop', value: -0.5, time: '2026-11-24T10:12:00+01:00' })).toEqual({
      ...{ ...least, source: '/shop', value: -0.5 },
      time: new Date('2026-11-24T09:12:00Z'),
    });
  });

  it.each<[string, unknown]>([
    ['id', undefined],
    ['id', 7],
    ['id', ' \t'],
    ['id', 'x'.repeat(257)],
    ['source', ''],
    ['source', 'ü'.repeat(129)],
    ['source', 7],
    ['source', false],
    ['source', { name: 'shop' }],
    ['userId', 42],
    ['userId', '042'],
    ['userId', 'anna'],
    ['name', '1st'],
    ['name', 'a b'],
    ['name', 'a'.repeat(101)],
    ['value', null],
    ['value', '3'],
    ['value', 1e16],
    ['value', Number.NaN],
    ['value', true],
    ['time', '2026-02-30T00:00:00Z'],
    ['time', 1_764_000_000],
    ['when', '2026-11-24T10:12:00Z'],
  ])('is rejected for its %s %j, with the field and a remedy', (field, value) => {
    expect(() => parse({ [field]: value })).toThrow(
      expect.objectContaining({ code: 'invalid_input', field: `outcomes[3].${field}`, remedy: expect.any(String) }),
    );
  });

  it.each([null, [], 'order', 7])('must be an object, not %j', (value) => {
    expect(() => parseOutcome(value, 'outcomes[0].', 'int8')).toThrow(
      expect.objectContaining({ field: 'outcomes[0]' }),
    );
    expect(() => parseOutcome(value, '', 'int8')).toThrow(expect.objectContaining({ field: undefined }));
  });
});
