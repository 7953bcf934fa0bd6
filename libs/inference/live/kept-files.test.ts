import { expect, it } from 'vitest';
import { keepFiles } from './kept-files.ts';

/** Creates a cache of files of 40 bytes, with room for 100 bytes. */
function createWorld() {
  const loaded: string[] = [];
  const load = keepFiles(async (hash) => {
    loaded.push(hash);
    return Buffer.alloc(hash === 'large' ? 101 : 40);
  }, 100);
  return { loaded, load };
}

it('keeps the most recently used files, as far as there is room', async () => {
  const { loaded, load } = createWorld();
  for (const hash of ['a', 'b', 'a', 'c', 'a', 'b']) expect(await load(hash)).toHaveLength(40);
  expect(loaded).toEqual(['a', 'b', 'c', 'b']);
});

it('returns a file that is larger than the limit, and does not keep it', async () => {
  const { loaded, load } = createWorld();
  for (let i = 0; i < 2; i++) expect(await load('large')).toHaveLength(101);
  expect(loaded).toEqual(['large', 'large']);
});

it('reads a file again if the kept one could not be used', async () => {
  const { loaded, load } = createWorld();
  await load('a');
  await load('a', true);
  await load('a');
  expect(loaded).toEqual(['a', 'a']);
});
