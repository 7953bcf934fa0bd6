import type { ApiKey } from '@tandem/offline-store/api-keys';
import { expect, test } from 'vitest';
import { renderKeys } from './commands.ts';
import { parseRate } from './parse-key-options.ts';

const KEY: ApiKey = {
  id: '3f9c2b7e01d4a586',
  name: 'shop',
  kind: 'live',
  scopes: ['predictions:read'],
  state: 'active',
  requestsPerSecond: null,
  livePerSecond: null,
  newUsersPerDay: null,
  createdAt: '2026-11-26T00:00:00.000Z',
  rotatedAt: null,
  expiresAt: null,
  revokedAt: null,
  previousUntil: null,
  pepperId: '01234567',
};

test('the quota of new users is shown of keys that may send events', () => {
  const shown = (changes: Partial<ApiKey>) =>
    renderKeys(
      [{ ...KEY, newUsersPerDay: 50_000, ...changes }],
      (_tone, text) => text,
      Date.parse(KEY.createdAt),
    ).join();
  expect(shown({ scopes: ['events:write'] })).toContain(' 50000 new users/d ');
  expect(shown({})).not.toContain('new users');
});

test.each([
  ['0.001/m', '0.001 requests/m'],
  ['59/m', '59 requests/m'],
  ['0.5/s', '30 requests/m'],
  ['60/m', '1 requests/s'],
  ['90/m', '1.5 requests/s'],
  ['100/s', '100 requests/s'],
])('a limit of %s is shown as %s', (rate, shown) => {
  const key = { ...KEY, requestsPerSecond: parseRate(rate) };
  expect(renderKeys([key], (_tone, text) => text, Date.parse(KEY.createdAt)).join('\n')).toContain(` ${shown} `);
});
