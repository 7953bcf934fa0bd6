/** Checks that links in Markdown files, and pages named in code, lead to existing files and headings. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSourceTexts, root } from '../architecture/source-tree.ts';
import { anchorOf, anchorsOf, linksOf, readPage, readPages } from './markdown.ts';

const pages = readPages();

/** Returns the error of a link, or null for a valid link. */
function faultOf(from: string, link: string): string | null {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : normalize(join(dirname(from), decodeURI(path)));
  if (!existsSync(join(root, target))) return `${link}: there is no ${target}`;
  if (anchor === undefined || !target.endsWith('.md') || anchorsOf(readPage(target)).has(anchor)) return null;
  return `${link}: ${target} has no heading #${anchor}`;
}

describe('links', () => {
  it.each(pages.map((page) => [page.path, page] as const))('%s links to files and headings that exist', (_, page) => {
    const internal = linksOf(page).filter((link) => !/^(\w+:|\/\/)/.test(link));
    expect(internal.map((link) => faultOf(page.path, link)).filter((fault) => fault !== null)).toEqual([]);
  });

  it('finds links: all pages together have hundreds', () => {
    expect(pages.flatMap(linksOf).length).toBeGreaterThan(200);
  });
});

describe('pages that code names', () => {
  const files = [
    ...readSourceTexts().map(({ path, code }) => ({ path, code })),
    ...globSync(['deploy/**/*.{yml,yaml,txt}', 'docker-compose.yml', 'Dockerfile'], { cwd: root }).map((path) => ({
      path,
      code: readFileSync(join(root, path), 'utf8'),
    })),
  ].filter(({ path }) => !path.startsWith('test/docs/'));
  const NAMED = /(?<![\w./-])docs\/[\w/-]+\.md(?:#([\w-]+)|, "([^"]+)")?/g;
  const named = files.flatMap(({ path, code }) =>
    [...code.matchAll(NAMED)].map(([text, anchor, title]) => ({
      path,
      text,
      anchor: anchor ?? (title && anchorOf(title)),
    })),
  );

  it('exist, and have the heading that is named', () => {
    const faults = named.flatMap(({ path, text, anchor }) => {
      const page = /^[^#,]+/.exec(text)?.[0] ?? '';
      const fault = faultOf('README.md', anchor === undefined ? page : `${page}#${anchor}`);
      return fault === null ? [] : [`${path}: ${fault}`];
    });
    expect(named.length).toBeGreaterThan(40);
    expect(faults).toEqual([]);
  });
});
