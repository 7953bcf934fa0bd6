import { SCOPES } from '@tandem/prediction/keys/api-key';
import { expect, test } from 'vitest';
import { parseGrace, parseName, parseNewUsers, parseRate, parseScopes, parseSpan } from './parse-key-options.ts';

test('scopes are known and occur once each', () => {
  expect(parseScopes('predictions:read, events:write,predictions:read')).toEqual(['predictions:read', 'events:write']);
  expect(parseScopes('all')).toEqual(SCOPES);
  expect(() => parseScopes('prediction:read')).toThrow('did you mean predictions:read?');
  expect(() => parseScopes('all,predictions:read')).toThrow('all stands alone');
  expect(() => parseScopes('')).toThrow('separated by commas');
});

test('rates are numbers per second or per minute, or none', () => {
  expect([parseRate('100/s'), parseRate('90/m'), parseRate('0.5/s')]).toEqual([100, 1.5, 0.5]);
  expect(parseRate('none')).toBe(Number.POSITIVE_INFINITY);
  for (const text of ['100', '0/s', '-1/s', '1e3/s', '5/h', '']) expect(() => parseRate(text)).toThrow('such as 100/s');
});

test('a quota of new users is a whole number per day, or none', () => {
  expect([parseNewUsers('50000/d'), parseNewUsers('none')]).toEqual([50_000, Number.POSITIVE_INFINITY]);
  for (const text of ['50000', '0/d', '1.5/d', '5/s', '']) {
    expect(() => parseNewUsers(text)).toThrow('such as 50000/d');
  }
});

test('spans have a unit, and 0 means no grace period', () => {
  expect([parseSpan('90d'), parseGrace('24h'), parseGrace('0')]).toEqual([7_776_000_000, 86_400_000, 0]);
  for (const text of ['90', '0', '0d', '1.5d', '36501d']) expect(() => parseSpan(text)).toThrow('such as 90d');
});

test('names are trimmed texts', () => {
  expect(parseName(' the shop ')).toBe('the shop');
  for (const text of ['', ' ', 'a\nb', '\u001b[2J', 'x'.repeat(101)]) expect(() => parseName(text)).toThrow('a name');
});
