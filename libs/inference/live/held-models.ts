/**
 * The models that one child has loaded, within the memory for models. To make room, the least recently used model is
 * unloaded; it is loaded again on demand.
 */
import type { InferenceProcess } from '../process/inference-process.ts';
import type { LoadOccasion, ModelLoader } from './model-loader.ts';

export class HeldModels {
  readonly child: InferenceProcess;
  readonly #loader: ModelLoader;
  /** Memory in bytes by artifact, in the order of last use. */
  #sizes = new Map<string, number>();

  constructor(child: InferenceProcess, loader: ModelLoader) {
    this.child = child;
    this.#loader = loader;
  }

  has(hash: string): boolean {
    return this.#sizes.has(hash);
  }

  /** Returns the artifacts, least recently used first. */
  hashes(): string[] {
    return [...this.#sizes.keys()];
  }

  bytes(): number {
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** Loads the model if it is not loaded, and makes it the last to be unloaded. Rejects with `unavailable`. */
  async use(hash: string, when: LoadOccasion): Promise<void> {
    const size = this.#sizes.get(hash) ?? (await this.#load(hash, when));
    this.#sizes.delete(hash);
    this.#sizes.set(hash, size);
  }

  /** Loads the model if it is not loaded, and makes it the first to be unloaded. Rejects with `unavailable`. */
  async add(hash: string, when: LoadOccasion): Promise<void> {
    if (this.#sizes.has(hash)) return;
    const size = await this.#load(hash, when);
    this.#sizes = new Map([[hash, size], ...this.#sizes]);
  }

  /** Returns whether there is room for the model, which was loaded before, in addition to the others. */
  hasRoomFor(hash: string): boolean {
    const size = this.#loader.sizeOf(hash);
    return size !== undefined && this.#loader.fits({ ...size, held: this.bytes() });
  }

  /** Unloads these models, as far as they are loaded. */
  async unload(hashes: readonly string[]): Promise<void> {
    const held = hashes.filter((hash) => this.#sizes.delete(hash));
    if (held.length > 0) await this.#loader.unload(this.child, held);
  }

  #load(hash: string, when: LoadOccasion): Promise<number> {
    return this.#loader.load(this.child, hash, when, async (needed) => {
      const unused = this.hashes();
      let held = this.bytes();
      const least = unused.findIndex((one) => {
        if (this.#loader.fits({ ...needed, held })) return true;
        held -= this.#sizes.get(one) ?? 0;
        return false;
      });
      const unloaded = unused.slice(0, least < 0 ? unused.length : least);
      await this.unload(unloaded);
      return unloaded.length;
    });
  }
}
