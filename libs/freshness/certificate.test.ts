import { expect, test } from 'vitest';
import { type AssignedMoment, isOvertaken } from './certificate.ts';

const at = (history: string, revision: number): AssignedMoment => ({ history, revision });

test('an answer is overtaken if an answer of a later revision or the next history came after its request', () => {
  const before = at('h', 4);
  expect(isOvertaken(at('h', 4), before, at('h', 5))).toBe(true);
  expect(isOvertaken(at('h', 5), before, at('h', 5))).toBe(false);
  expect(isOvertaken(at('h', 6), before, at('h', 5))).toBe(false);
  expect(isOvertaken(at('h', 9), before, at('restored', 2))).toBe(true);
  expect(isOvertaken(at('restored', 2), before, at('h', 5))).toBe(false);
});

test('an answer that was not overtaken counts, even if a restore has lowered the revision', () => {
  const before = at('h', 4);
  expect(isOvertaken(at('h', 3), before, before)).toBe(false);
  expect(isOvertaken(at('restored', 1), before, before)).toBe(false);
});
