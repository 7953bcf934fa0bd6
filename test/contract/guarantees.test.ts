/** Checks docs/guarantees.md: each guarantee names existing tests, and there are at most forty guarantees. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../architecture/source-tree.ts';
import { readGuarantees } from './guarantees.ts';

const guarantees = readGuarantees();
const tests = guarantees.flatMap(({ no, tests: named }) => named.map((test) => ({ no, ...test })));

describe('the table of guarantees', () => {
  it('has at most forty, numbered in order', () => {
    expect(guarantees.length).toBeGreaterThan(20);
    expect(guarantees.length).toBeLessThanOrEqual(40);
    expect(guarantees.map(({ no }) => no)).toEqual(guarantees.map((_, i) => i + 1));
  });

  it.each(tests)('$no names a test that runs: $title', ({ title, file }) => {
    const text = readFileSync(join(root, file), 'utf8');
    const at = text.indexOf(`'${title.replaceAll("'", "\\'")}'`);
    expect(at, `${file} has no test of that title`).toBeGreaterThan(0);
    expect(text.slice(0, at)).toMatch(/\b(it|test)(\.each\([\s\S]*\))?\(\s*$/);
  });

  it('has a different test for each guarantee', () => {
    expect(new Set(tests.map(({ file, title }) => `${file} ${title}`)).size).toBe(tests.length);
  });
});
