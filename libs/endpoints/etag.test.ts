import { describe, expect, it } from 'vitest';
import { checkIfMatch, matchesETag, weakETag } from './caching.ts';

describe('weakETag', () => {
  it('is equal for equal parts, and differs if any part differs', () => {
    expect(weakETag(['p', '42', 1, null])).toBe(weakETag(['p', '42', 1, null]));
    const all = [
      ['p', '42', 1],
      ['p4', '2', 1],
      ['p', '42', '1'],
      ['p', '42', null],
      ['p', '42', 1, null],
    ].map(weakETag);
    expect(new Set(all).size).toBe(all.length);
    expect(all[0]).toMatch(/^W\/"[A-Za-z0-9_-]{22}"$/);
  });
});

describe('matchesETag', () => {
  const etag = weakETag(['p', '42']);
  const strong = etag.slice(2);

  it.each([
    ['the tag', etag],
    ['its strong form', strong],
    ['a list', `"other", ${etag} , W/"more"`],
    ['any', ' * '],
  ])('finds it in %s', (_, header) => {
    expect(matchesETag(header, etag)).toBe(true);
  });

  it.each(['', '"other"', strong.slice(1, -1), 'W/"', '"*"'])('does not find it in %j', (header) => {
    expect(matchesETag(header, etag)).toBe(false);
  });
});

describe('checkIfMatch', () => {
  const etag = weakETag(['p', '42']);

  it('accepts no header or `*`, and rejects every tag: a strong comparison never matches weak tags', () => {
    for (const holding of [undefined, '*', ' * ']) expect(() => checkIfMatch(holding)).not.toThrow();
    for (const tags of [etag, etag.slice(2), '"other"', '']) {
      expect(() => checkIfMatch(tags)).toThrow(expect.objectContaining({ code: 'precondition_failed' }));
    }
  });
});
