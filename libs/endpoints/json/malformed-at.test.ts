import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { malformedAt } from './read-json.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('malformedAt', () => {
  it.each([
    ['{"a": tru}', 9],
    ['{"a": 1', 7],
    ['{"a" 1}', 5],
    ['[1,]', 3],
    ['{,}', 1],
    ['01', 1],
    ['"\\x"', 1],
    ['"a\nb"', 2],
    ['"a', 2],
    ['-', 0],
    ['1 2', 2],
    [' ', 1],
  ])('finds the error in %j at %i', (text, position) => {
    expect(malformedAt(text)).toBe(position);
  });

  it('accepts the same JSON as JSON.parse', () => {
    const damaged = fc.tuple(
      fc.json({ maxDepth: 4 }),
      fc.nat(),
      fc.constantFrom('', '"', '\\', ',', '}', '0', 'e', ' ', '\t', '\u0001'),
    );
    fc.assert(
      fc.property(damaged, ([text, where, insert]) => {
        const at = where % (text.length + 1);
        const changed = text.slice(0, at) + insert + text.slice(at + 1);
        expect(malformedAt(changed) === -1).toBe(isJson(changed));
      }),
    );
  });
});
