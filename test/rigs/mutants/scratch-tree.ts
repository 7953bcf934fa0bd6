/**
 * A copy of the checkout in which mutants are planted. Source files are copied. Packages are hard links, because they
 * take a gigabyte and no test writes to them. Symbolic links are kept: the links of workspaces are relative and lead to
 * the copy.
 */
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { applyPatches, byFile, type Plant } from '../faults/plant/patch.ts';

export interface ScratchTree {
  readonly root: string;
  /**
   * Patches the copy. Returns a function that restores it. Throws if the text of a patch does not occur exactly once.
   */
  plant(plants: readonly Plant[]): () => void;
  remove(): void;
}

const LEFT_OUT = new Set(['.git', '.tandem', '.turbo', 'coverage']);
/**
 * Folders that are not linked: their files are written in place, which would change the checkout through a hard link.
 */
const CACHES = new Set(['.cache', '.vite', '.vite-temp', '.vitest-cache']);

/** Copies a checkout to a folder on the same file system. The folder must not exist. */
export function createScratchTree(checkout: string, root: string): ScratchTree {
  const remove = () => rmSync(root, { recursive: true, force: true });
  try {
    copyTree(checkout, root, false);
  } catch (error) {
    remove();
    throw error;
  }
  return { root, plant: (plants) => plantIn(root, plants), remove };
}

function copyTree(from: string, to: string, isPackages: boolean): void {
  mkdirSync(to, { recursive: true });
  const leftOut = isPackages ? CACHES : LEFT_OUT;
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (leftOut.has(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyTree(source, target, isPackages || entry.name === 'node_modules');
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (isPackages) linkSync(source, target);
    else copyFileSync(source, target);
  }
}

function plantIn(root: string, plants: readonly Plant[]): () => void {
  const originals: [path: string, text: string][] = [];
  const restore = () => {
    for (const [path, text] of originals) writeFileSync(path, text);
  };
  try {
    for (const [file, patches] of byFile(plants)) {
      const path = join(root, file);
      const text = readFileSync(path, 'utf8');
      const patched = applyPatches(text, patches);
      originals.push([path, text]);
      writeFileSync(path, patched);
    }
  } catch (error) {
    restore();
    throw error;
  }
  return restore;
}
