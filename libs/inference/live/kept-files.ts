/**
 * A cache of model files in memory for the inference children of all pools: for new children, and for children that
 * have unloaded the model. The least recently used file is evicted first.
 */

/**
 * Returns an artifact by its SHA-256 in hex.
 * @param reload whether to read the file again, since the kept one did not load
 */
export type LoadArtifact = (hash: string, reload?: boolean) => Promise<Uint8Array>;

/** The most bytes of all kept files together. */
const MOST_BYTES = 64 * 1024 * 1024;

export function keepFiles(load: (hash: string) => Promise<Uint8Array>, mostBytes = MOST_BYTES): LoadArtifact {
  /** Files in the order of their last use. */
  const kept = new Map<string, Uint8Array>();
  const underWay = new Map<string, Promise<Uint8Array>>();

  function keep(hash: string, bytes: Uint8Array): void {
    // Such a file would evict every other file, and then itself.
    if (bytes.length > mostBytes) return;
    kept.delete(hash);
    kept.set(hash, bytes);
    let sum = [...kept.values()].reduce((total, { length }) => total + length, 0);
    for (const [oldest, { length }] of kept) {
      if (sum <= mostBytes) return;
      kept.delete(oldest);
      sum -= length;
    }
  }

  /** Loads a file once for all children that start together, even from different pools. */
  function loadOnce(hash: string): Promise<Uint8Array> {
    const loading = underWay.get(hash) ?? load(hash).finally(() => underWay.delete(hash));
    underWay.set(hash, loading);
    return loading;
  }

  return async (hash, reload = false) => {
    const bytes = (reload ? undefined : kept.get(hash)) ?? (await loadOnce(hash));
    keep(hash, bytes);
    return bytes;
  };
}
