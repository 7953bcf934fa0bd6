import { expect, test } from 'vitest';
import { maskUrl } from './environment.ts';

test.each([
  ['postgres://app:hunter2@db:5432/shop', 'postgres://app:***@db:5432/shop'],
  ['postgres://app:p@ss:w@rd/x@db/shop', 'postgres://app:***@db/shop'],
  ['redis://:hunter2@cache/1', 'redis://:***@cache/1'],
  ['postgres:///shop?host=/tmp&password=hunter2&x=1', 'postgres:///shop?host=/tmp&password=***&x=1'],
  ['redis://cache:6379', 'redis://cache:6379'],
  ['postgres://app@db/shop', 'postgres://app@db/shop'],
])('%s is shown as %s', (url, masked) => {
  expect(maskUrl(url)).toBe(masked);
});
