/**
 * Plants: changes of the product's own text, made in the memory of one child process (or one scratch database) while it
 * is loaded. The product's files have no switch for them and never learn of them.
 */

/** Relative to the project's root, with forward slashes. */
export interface Patch {
  readonly file: string;
  /** Must occur exactly once in the file: a patch that no longer finds its place is an error, never a quiet no-op. */
  readonly find: string;
  readonly replace: string;
}

export interface Plant {
  readonly name: string;
  /** What it does wrong on purpose, in a sentence. */
  readonly what: string;
  readonly patches: readonly Patch[];
}

interface Place extends Patch {
  readonly from: number;
  readonly to: number;
}

/**
 * The text of a file with these patches, each looked for in the text as it was.
 * Throws where one does not find its place, finds two, or two of them overlap.
 */
export function applyPatches(text: string, patches: readonly Patch[]): string {
  const places = patches.map((patch) => placeOf(text, patch)).sort((one, other) => one.from - other.from);
  let patched = '';
  let at = 0;
  for (const { file, find, replace, from, to } of places) {
    if (from < at) throw new Error(`${file}: two plants change the same place, ${JSON.stringify(find)}`);
    patched += text.slice(at, from) + replace;
    at = to;
  }
  return patched + text.slice(at);
}

function placeOf(text: string, patch: Patch): Place {
  const from = text.indexOf(patch.find);
  const shown = JSON.stringify(patch.find);
  if (from < 0)
    throw new Error(`${patch.file}: a plant looks for ${shown}, which is not there any more; mend its find`);
  if (text.indexOf(patch.find, from + 1) >= 0) {
    throw new Error(`${patch.file}: a plant looks for ${shown}, which is there more than once; make its find longer`);
  }
  return { ...patch, from, to: from + patch.find.length };
}

/** Patches by file. */
export function byFile(plants: readonly Plant[]): ReadonlyMap<string, readonly Patch[]> {
  const files = new Map<string, Patch[]>();
  for (const patch of plants.flatMap((plant) => plant.patches)) {
    const known = files.get(patch.file);
    if (known) known.push(patch);
    else files.set(patch.file, [patch]);
  }
  return files;
}
