/** Checks docs/guarantees.md: each guarantee names existing tests, and there are at most forty guarantees. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../architecture/source-tree.ts';

const page = readFileSync(join(root, 'docs/guarantees.md'), 'utf8');
const rows = page.split('\n').filter((line) => /^\| +\d+ /.test(line));
const guarantees = rows.map((row) => {
  const [, no = '', tests = ''] = /^\| +(\d+) +\| .+? +\| (\[.+\]\(\.\.\/.+\)) +\|$/.exec(row) ?? [];
  return { no: Number(no), tests: tests.split('; [').map((link) => link.replace(/^\[/, '')) };
});
const tests = guarantees.flatMap(({ no, tests: links }) =>
  links.map((link) => {
    const [, title = '', path = ''] = /^(.+)\]\(\.\.\/(.+)\)$/.exec(link) ?? [];
    return { no, title, path };
  }),
);

describe('the table of guarantees', () => {
  it('has at most forty, numbered in order', () => {
    expect(guarantees.length).toBeGreaterThan(20);
    expect(guarantees.length).toBeLessThanOrEqual(40);
    expect(guarantees.map(({ no }) => no)).toEqual(guarantees.map((_, i) => i + 1));
  });

  it.each(tests)('$no names a test that runs: $title', ({ title, path }) => {
    const text = readFileSync(join(root, path), 'utf8');
    const at = text.indexOf(`'${title.replaceAll("'", "\\'")}'`);
    expect(at, `${path} has no test of that title`).toBeGreaterThan(0);
    expect(text.slice(0, at)).toMatch(/\b(it|test)(\.each\([\s\S]*\))?\(\s*$/);
  });

  it('has a different test for each guarantee', () => {
    expect(new Set(tests.map(({ path, title }) => `${path} ${title}`)).size).toBe(tests.length);
  });
});
