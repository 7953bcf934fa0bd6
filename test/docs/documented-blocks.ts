/** Finds the fenced blocks of the pages for users. */
import { type Block, blocksOf, readPages } from './markdown.ts';

/** Returns the blocks of README.md and of all pages in docs/ except generated pages. */
export function documentedBlocks(): Block[] {
  return readPages()
    .filter(({ path }) => path === 'README.md' || path.startsWith('docs/'))
    .flatMap(blocksOf);
}

export const placeOf = ({ page, line }: Block): string => `${page}:${line}`;
