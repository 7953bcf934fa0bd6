/**
 * Plants: changes of the product's source text that are made while one child process (or one scratch database) loads
 * it. The product has no switch for plants, and its files do not change.
 */

/** A replacement in a file; its path is relative to the project's root, with forward slashes. */
export interface Patch {
  readonly file: string;
  /** A text that must occur exactly once in the file; otherwise the patch is an error. */
  readonly find: string;
  readonly replace: string;
}

export interface Plant {
  readonly name: string;
  /** The planted mistake, in a sentence. */
  readonly what: string;
  readonly patches: readonly Patch[];
}

interface Place extends Patch {
  readonly from: number;
  readonly to: number;
}

/**
 * Applies patches to the text of a file. Each patch is searched in the original text.
 * Throws if a text is missing, occurs twice, or overlaps another patch.
 */
export function applyPatches(text: string, patches: readonly Patch[]): string {
  const places = patches.map((patch) => placeOf(text, patch)).sort((one, other) => one.from - other.from);
  let patched = '';
  let at = 0;
  for (const { file, find, replace, from, to } of places) {
    if (from < at) throw new Error(`${file}: two plants change the same text, ${JSON.stringify(find)}`);
    patched += text.slice(at, from) + replace;
    at = to;
  }
  return patched + text.slice(at);
}

function placeOf(text: string, patch: Patch): Place {
  const from = text.indexOf(patch.find);
  const shown = JSON.stringify(patch.find);
  if (from < 0) throw new Error(`${patch.file}: a plant's text is not in the file: ${shown}; update its \`find\``);
  if (text.indexOf(patch.find, from + 1) >= 0) {
    throw new Error(`${patch.file}: a plant's text occurs more than once: ${shown}; make its \`find\` longer`);
  }
  return { ...patch, from, to: from + patch.find.length };
}

/** Groups the patches of plants by file. */
export function byFile(plants: readonly Plant[]): ReadonlyMap<string, readonly Patch[]> {
  const files = new Map<string, Patch[]>();
  for (const patch of plants.flatMap((plant) => plant.patches)) {
    const known = files.get(patch.file);
    if (known) known.push(patch);
    else files.set(patch.file, [patch]);
  }
  return files;
}
