/** The fenced blocks of the pages that users follow. */
import { type Block, blocksOf, readPages } from './markdown.ts';

/** README.md and everything in docs/, without pages that a program writes. */
export function documentedBlocks(): Block[] {
  return readPages()
    .filter(({ path }) => path === 'README.md' || path.startsWith('docs/'))
    .flatMap(blocksOf);
}

export const placeOf = ({ page, line }: Block): string => `${page}:${line}`;
