import { stripVTControlCharacters, styleText } from 'node:util';
import { describe, expect, it } from 'vitest';
import { clip, renderClipped, renderSentences, renderWrappedFields, wrap } from './text.ts';

const SENTENCE = 'reads without a prediction: 12 % in candidate and 0.1 % in stable; '.repeat(3).trim();
const COLUMNS = ['check', 'state', 'why'].map((title) => ({ title }));
const longest = (lines: readonly string[]) => Math.max(...lines.map((line) => stripVTControlCharacters(line).length));

describe('long text', () => {
  it('is wrapped at spaces and keeps its words', () => {
    const lines = wrap(SENTENCE, 40);
    expect(longest(lines)).toBeLessThanOrEqual(40);
    expect(lines.join(' ')).toBe(SENTENCE);
    expect(wrap('', 10)).toEqual(['']);
    expect(wrap('one-word-that-is-long and', 8)).toEqual(['one-word-that-is-long', 'and']);
  });

  it('keeps a number with its sign', () => {
    expect(wrap('a difference of 11.9 % is', 20)).toEqual(['a difference of', '11.9 % is']);
  });

  it('is cut to one line between whole characters', () => {
    expect([clip('abc', 3), clip('abcd', 3), clip('ab cd', 4)]).toEqual(['abc', 'ab…', 'ab…']);
    expect(clip('😀😀😀', 2)).toBe('😀…');
  });

  it('wraps in fields and in the last column to at most 100 characters', () => {
    expect(
      renderWrappedFields([
        ['a', SENTENCE],
        ['name', 'x'],
      ]),
    ).toEqual([
      expect.stringMatching(/^a {5}reads/),
      expect.stringMatching(/^ {6}\S/),
      expect.stringMatching(/^ {6}\S/),
      'name  x',
    ]);
    const isAlone = renderWrappedFields([['a', SENTENCE]]);
    expect(
      renderWrappedFields([
        ['a', SENTENCE],
        ['a name of an absent value', null],
      ]),
    ).toEqual(isAlone);
    const green = styleText('green', 'pass', { validateStream: false });
    const lines = renderSentences(COLUMNS, [
      ['errorRate', green, SENTENCE],
      ['psi', green, 'none'],
    ]);
    expect(longest(lines)).toBeLessThanOrEqual(100);
    expect(lines[2]).toMatch(/^ {18}\S/);
    expect(lines.at(-1)).toBe(`psi        ${green}   none`);
    const clipped = renderClipped(COLUMNS, [['errorRate', green, SENTENCE]]);
    expect([clipped.length, longest(clipped)]).toEqual([2, 99]);
  });
});
