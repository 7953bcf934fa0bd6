import { describe, expect, it } from 'vitest';
import { TandemError } from './errors.ts';
import type { FeatureBatch } from './features.ts';
import type { RequestColumn } from './predictor.ts';
import { checkRequest, withRequestDefaults, withRequestRows } from './request-features.ts';

const REQUEST: readonly RequestColumn[] = [
  { name: 'amount', kind: 'number', min: 0, max: 100, default: 40 },
  { name: 'channel', kind: 'string', categories: { values: ['web', 'app'], encoding: 'index' }, default: 'web' },
  { name: 'express', kind: 'boolean', default: 0 },
  { name: 'items', kind: 'integer', default: 1 },
  { name: 'basket', kind: 'number', default: null, nullAs: 'nan' },
];
const VERSION = { predictor: 'checkout', request: REQUEST };
const check = (sent: Record<string, number | string | boolean>, request = REQUEST) =>
  checkRequest({ predictor: 'checkout', request }, sent, (name) => name === 'other', 'users[3]').values;

describe('request features', () => {
  it('are values in the order of the declaration; omitted ones have their default', () => {
    expect(check({})).toEqual([40, 'web', 0, 1, null]);
    expect(check({ express: true, basket: 7, channel: 'app', amount: 0 })).toEqual([0, 'app', 1, 1, 7]);
    expect(check({ other: 'known to another version' })).toEqual([40, 'web', 0, 1, null]);
  });

  it.each<[Record<string, number | string | boolean>, string, string]>([
    [{ amuont: 1 }, 'amuont', 'is no request feature of predictor checkout'],
    [{ amount: -0.5 }, 'amount', 'is less than 0'],
    [{ amount: 101 }, 'amount', 'is greater than 100'],
    [{ amount: Number.POSITIVE_INFINITY }, 'amount', 'is not a finite number'],
    [{ amount: '12' }, 'amount', 'is not a finite number'],
    [{ amount: true }, 'amount', 'is not a finite number'],
    [{ items: 1.5 }, 'items', 'is not a whole number'],
    [{ items: 2 ** 53 }, 'items', 'is not a whole number'],
    [{ express: 1 }, 'express', 'is not true or false'],
    [{ channel: 5 }, 'channel', 'is not a text'],
    [{ channel: 'phone' }, 'channel', 'is not one of its categories'],
    [{ channel: 'x'.repeat(1_025) }, 'channel', 'is longer than 1024 characters'],
    [{ toString: 1 }, 'toString', 'is no request feature'],
  ])('reject case %# with an error at $1', (sent, name, words) => {
    try {
      check(sent);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(TandemError);
      expect(error).toMatchObject({ code: 'invalid_input', field: `users[3].features.${name}` });
      expect((error as TandemError).message).toContain(words);
      expect((error as TandemError).remedy).toEqual(expect.any(String));
    }
  });

  it('are rejected if the model’s input cannot hold them, and never replaced by defaults', () => {
    const inputs = [
      { name: 'small', type: 'int8' as const, columns: ['items'] },
      { name: 'floats', type: 'float32' as const, columns: ['amount'] },
    ];
    const request: RequestColumn[] = [
      { name: 'amount', kind: 'number' },
      { name: 'items', kind: 'integer' },
    ];
    const sent = (items: number, amount: number) =>
      checkRequest({ predictor: 'checkout', request, inputs }, { items, amount }, () => false, 'users[0]').values;
    expect(sent(127, 0.1)).toEqual([0.1, 127]);
    expect(() => sent(128, 1)).toThrow(
      "users[0].features.items is a number that the model's input small of type int8 cannot hold.",
    );
    expect(() => sent(1, 1e39)).toThrow('users[0].features.amount is a number that');
  });

  it('without a default must be sent', () => {
    const request: RequestColumn[] = [{ name: 'query', kind: 'string' }];
    expect(() => check({}, request)).toThrow('users[3].features.query is missing, and has no default.');
    expect(check({ query: '' }, request)).toEqual(['']);
  });

  it('become columns after the query’s columns, with defaults in its rows and the sent values in further rows', () => {
    const batch: FeatureBatch = {
      ...{
        history: 'h',
        readAt: 5,
        userIds: ['1', '2'],
        contextVersions: [3, 4],
        faults: new Map(),
        unusable: new Map(),
      },
      columns: [{ name: 'orders', kind: 'integer' }],
      values: [Float64Array.of(10, 20)],
      fromEvents: new Map([[1, [{ column: 0, entry: { value: 20, accepted: 7, time: 6, source: 's', id: 'e' } }]]]),
    };
    const whole = withRequestDefaults(VERSION, batch);
    expect(whole.columns.map(({ name }) => name)).toEqual([
      'orders',
      'amount',
      'channel',
      'express',
      'items',
      'basket',
    ]);
    expect(whole.values.map((column) => [...column])).toEqual([
      [10, 20],
      [40, 40],
      ['web', 'web'],
      [0, 0],
      [1, 1],
      [null, null],
    ]);
    const request = checkRequest(VERSION, { amount: 7, channel: 'app' }, () => false, 'users[0]');
    const more = withRequestRows(whole, [
      { row: 1, request },
      { row: 0, request },
    ]);
    expect(more.userIds).toEqual(['1', '2', '2', '1']);
    expect(more.contextVersions).toEqual([3, 4, 4, 3]);
    expect(more.values.slice(0, 3).map((column) => [...column])).toEqual([
      [10, 20, 20, 10],
      [40, 40, 7, 7],
      ['web', 'web', 'app', 'app'],
    ]);
    expect(more.values[0]).toBeInstanceOf(Float64Array);
    expect([...(more.fromEvents?.keys() ?? [])]).toEqual([1, 2]);
    expect(more.sent?.get(2)).toEqual({ amount: 7, channel: 'app' });
    expect(whole.userIds).toEqual(['1', '2']);
    expect(withRequestDefaults({ predictor: 'checkout' }, batch)).toBe(batch);
  });
});
