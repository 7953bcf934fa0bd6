import { expect, test } from 'vitest';
import { coveringPattern, eventPatternProblem, matchesEventPattern } from './event-patterns.ts';

test('only * is a wildcard, and the whole type must match', () => {
  expect(matchesEventPattern('order.*', 'order.placed')).toBe(true);
  expect(matchesEventPattern('order.*', 'orders')).toBe(false);
  expect(matchesEventPattern('order.*', 'orderXplaced')).toBe(false);
  expect(matchesEventPattern('*.placed', 'order.placed.late')).toBe(false);
  expect(matchesEventPattern('*', '')).toBe(true);
});

test('a pattern that another pattern covers is found; of two equal patterns, the second', () => {
  expect(coveringPattern(['*', 'order.*'], 1)).toBe('*');
  expect(coveringPattern(['*', 'order.*'], 0)).toBeUndefined();
  expect(coveringPattern(['order.*', 'order.a*'], 1)).toBe('order.*');
  expect(coveringPattern(['a', 'a'], 1)).toBe('a');
  expect(coveringPattern(['a', 'a'], 0)).toBeUndefined();
  expect(coveringPattern(['a.*', 'b.*'], 0)).toBeUndefined();
});

test('patterns that could never match are refused', () => {
  expect(eventPatternProblem('')).toContain('empty');
  expect(eventPatternProblem('order placed')).toContain('white space');
  expect(eventPatternProblem('order.?')).toContain('only * is a wildcard');
  expect(eventPatternProblem('a'.repeat(257))).toContain('256 bytes');
  expect(eventPatternProblem('order.*')).toBeNull();
});
