import { expect, test } from 'vitest';
import { createUserMemory, keyOf } from './exposures.ts';

test('100,000 different texts and seeds have different keys, all of them safe integers', () => {
  const keys = new Set<number>();
  for (let n = 0; n < 50_000; n++) {
    for (const seed of [0, 7]) keys.add(keyOf(`${n}`, seed));
  }
  expect(keys.size).toBe(100_000);
  expect([...keys].every((key) => Number.isSafeInteger(key) && key > 0)).toBe(true);
  expect(keyOf('42', keyOf('a'))).not.toBe(keyOf('42', keyOf('b')));
});

test('only added users are known, after users that were forgotten during growth are added again', () => {
  const memory = createUserMemory();
  const addUnknown = () => {
    let added = 0;
    for (let n = 0; n < 20_000; n++) {
      if (memory.has(keyOf(`${n}`))) continue;
      memory.add(keyOf(`${n}`));
      added++;
    }
    return added;
  };
  expect(addUnknown()).toBe(20_000);
  expect(addUnknown()).toBeLessThan(10_000);
  expect(addUnknown()).toBe(0);
  const known = Array.from({ length: 40_000 }, (_, n) => memory.has(keyOf(`${n}`)));
  expect([known.indexOf(false), known.lastIndexOf(true)]).toEqual([20_000, 19_999]);
});

test('a full memory forgets the oldest users and grows no further', () => {
  const memory = createUserMemory(4_096);
  let forgotten = 0;
  for (let n = 0; n < 100_000; n++) {
    memory.add(keyOf(`${n}`));
    // The memory holds at least one full table: 0.6 of 4,096.
    if (n > 2_458 && !memory.has(keyOf(`${n - 2_457}`))) forgotten++;
  }
  expect(forgotten).toBe(0);
  expect(memory.has(keyOf('0'))).toBe(false);
  expect(memory.bytes()).toBe(2 * 8 * 4_096);
});
