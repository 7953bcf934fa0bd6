/** Parses the project's Markdown for the tests: pages, headings with their anchors, links, and fenced blocks. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../architecture/source-tree.ts';

export interface Page {
  /** The path relative to the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Block {
  readonly page: string;
  /** The line of its opening fence, from 1. */
  readonly line: number;
  /** The first word after the fence. */
  readonly language: string;
  readonly code: string;
  readonly mark: Mark | null;
}

/**
 * An HTML comment above a block: `<!-- not run: why -->`, or `<!-- run by: test file -->` if another test runs the block
 * from the page.
 */
export interface Mark {
  readonly kind: 'not run' | 'run by';
  readonly text: string;
}

const SKIPPED = ['**/node_modules', '**/.tandem', '**/.git', '**/.turbo', '**/.venv'];

export function readPages(): Page[] {
  const paths = globSync(['**/*.md', '.github/**/*.md'], { cwd: root, exclude: SKIPPED });
  return [...new Set(paths.map((path) => path.replaceAll('\\', '/')))].sort().map(readPage);
}

export function readPage(path: string): Page {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

const FENCED = /^( *)(```+)([^\n]*)\n([\s\S]*?)^\1\2 *$/gm;
const MARKED = /<!-- (not run|run by): ([^\n]+?) -->\s*$/;

export function blocksOf({ path, text }: Page): Block[] {
  return [...text.matchAll(FENCED)].map(({ index, 1: indent = '', 3: info = '', 4: code = '' }) => {
    const before = text.slice(0, index);
    const [, kind, reason = ''] = MARKED.exec(before) ?? [];
    return {
      page: path,
      line: before.split('\n').length,
      language: info.trim().split(/\s/)[0] ?? '',
      code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      mark: kind === undefined ? null : { kind: kind as Mark['kind'], text: reason },
    };
  });
}

/** Returns the text in which links count: without blocks and comments, and without brackets in inline code. */
function proseOf({ text }: Page): string {
  return text
    .replaceAll(FENCED, '')
    .replaceAll(/<!--[\s\S]*?-->/g, '')
    .replaceAll(/(`+)[^`][\s\S]*?\1/g, (code) => code.replaceAll(/[[\]()<>]/g, ''));
}

const LINK = /\[(?:[^[\]]|\[[^[\]]*\])*\]\(([^()\s]+)(?:\s+"[^"]*")?\)|\b(?:href|src|srcset)="([^"\s]+)"/g;

/** Targets of links and pictures, as written. */
export function linksOf(page: Page): string[] {
  return [...proseOf(page).matchAll(LINK)].map(([, link, attribute]) => link ?? attribute ?? '');
}

/** Returns the anchors of a page's headings, as GitHub makes them, and the anchors of `<a id="…">`. */
export function anchorsOf({ text }: Page): ReadonlySet<string> {
  const plain = text.replaceAll(FENCED, '');
  const anchors = new Set([...plain.matchAll(/<a id="([^"]+)"/g)].map(([, id = '']) => id));
  for (const { 1: title = '' } of plain.matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const anchor = anchorOf(title);
    let unique = anchor;
    for (let n = 1; anchors.has(unique); n++) unique = `${anchor}-${n}`;
    anchors.add(unique);
  }
  return anchors;
}

/** Returns the anchor of a heading. */
export function anchorOf(title: string): string {
  return title
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
    .replaceAll(' ', '-');
}
