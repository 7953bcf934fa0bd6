import { expect, test } from 'vitest';
import { digestOf, KEY_FORM, keyIdOf, newKeyId, pepperId, writeKey } from './api-key.ts';

const PEPPER = 'p'.repeat(32);

test('a key is found by its id, and has 32 random bytes of secret', () => {
  const id = newKeyId();
  const key = writeKey('live', id);
  expect(key).toMatch(KEY_FORM);
  expect(key.length).toBe(102);
  expect(keyIdOf(key)).toBe(id);
  expect(keyIdOf(writeKey('test', id))).toBe(id);
  expect(writeKey('live', id)).not.toBe(key);
});

test('a mistyped, truncated, lengthened or swapped text is not a key', () => {
  const key = writeKey('live', newKeyId());
  const other = key[40] === 'a' ? 'b' : 'a';
  const wrong = [
    '',
    key.slice(0, -1),
    `${key}0`,
    key.toUpperCase(),
    key.replace('live', 'test'),
    `${key.slice(0, 40)}${other}${key.slice(41)}`,
    ` ${key}`,
    `${key}\n`,
  ];
  for (const text of wrong) expect([text, keyIdOf(text)]).toEqual([text, undefined]);
});

test('the digest depends on every character and on the pepper', () => {
  const key = writeKey('live', newKeyId());
  const digest = digestOf(key, PEPPER);
  expect(digest).toHaveLength(32);
  expect(digestOf(key, PEPPER)).toEqual(digest);
  expect(digestOf(writeKey('live', keyIdOf(key) ?? ''), PEPPER)).not.toEqual(digest);
  expect(digestOf(key, `${PEPPER}x`)).not.toEqual(digest);
  expect(pepperId(PEPPER)).not.toBe(pepperId(`${PEPPER}x`));
});
