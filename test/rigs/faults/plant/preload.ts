/**
 * The rig loads this file with `--import` into a child process, before all files of the product. It rewrites files
 * while they are loaded, and installs the failpoints' runtime. Its URL has the options: `?plants=` has names separated
 * by commas, `&points=` the file that arms failpoints, and `&clock=` the file that moves the clock.
 */
import fs from 'node:fs';
import { registerHooks, syncBuiltinESMExports } from 'node:module';
import { relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installClock } from './clock-runtime.ts';
import { installFailpoints } from './failpoint-runtime.ts';
import { applyPatches, byFile, type Patch } from './patch.ts';
import { findPlants } from './plants.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const order = new URL(import.meta.url).searchParams;
const files = byFile(findPlants((order.get('plants') ?? '').split(',').filter(Boolean)));
const pointsFile = order.get('points');
const clockFile = order.get('clock');

if (pointsFile) installFailpoints(pointsFile);
if (clockFile) installClock(clockFile);
if (files.size > 0) {
  rewriteModules();
  rewriteReads();
}

function patchesOf(path: string): readonly Patch[] | undefined {
  return files.get(relative(root, path).split(sep).join('/'));
}

function rewriteModules(): void {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const patches = url.startsWith('file:') ? patchesOf(fileURLToPath(url)) : undefined;
      if (!patches || loaded.source === undefined || loaded.source === null) return loaded;
      const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
      return { ...loaded, source: applyPatches(text, patches) };
    },
  });
}

/** Rewrites Lua files, which the product reads as text by readFileSync. */
function rewriteReads(): void {
  const read = fs.readFileSync;
  const patched = (...args: Parameters<typeof read>): ReturnType<typeof read> => {
    const result = read(...args);
    const [file] = args;
    if (typeof result !== 'string' || !(file instanceof URL || typeof file === 'string')) return result;
    const patches = patchesOf(file instanceof URL ? fileURLToPath(file) : resolve(file));
    return patches ? applyPatches(result, patches) : result;
  };
  fs.readFileSync = patched as typeof read;
  syncBuiltinESMExports();
}
