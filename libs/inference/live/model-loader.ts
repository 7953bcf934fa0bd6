/**
 * Loads a version's model into a child, within the memory for models. A model that cannot be loaded is paused, for
 * longer after each failure, so that one bad artifact cannot keep ending all children.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { modelsBytes, PROCESS_MB, tooLargeForChild } from '@tandem/prediction/models/model-limits';
import { within } from '@tandem/timing/within';
import type { InferenceProcess } from '../process/inference-process.ts';
import type { TimeLimit } from '../process/time-limit.ts';
import type { LoadArtifact } from './kept-files.ts';

interface ModelLoaderOptions {
  readonly loadArtifact: LoadArtifact;
  /** Time limit of a load in a child. */
  readonly loadLimit: TimeLimit;
  /** Resident memory of a child in MB. */
  readonly memoryLimitMb: number;
  /** Called after a child loaded a model, with the number of models that were unloaded for it; for counters. */
  onLoad?: ((when: LoadOccasion, unloaded: number) => void) | undefined;
  readonly log: InferenceLog;
  /** Returns the milliseconds of a monotonic clock. */
  readonly now: () => number;
}

/**
 * The occasion of a load. `trial`: in a child that serves no reads; `ahead`: before a read needs the model;
 * `on_demand`: a read or a chunk waits for it.
 */
export type LoadOccasion = 'trial' | 'ahead' | 'on_demand';

type MakeRoom = (needed: Needed) => Promise<number>;

interface Needed {
  /** Memory of the model. */
  readonly bytes: number;
  /** The size of the model's file. */
  readonly fileBytes: number;
}

/** The time limit for reading an artifact, in ms. */
const READ_MS = 30_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/**
 * The memory of a child while it loads a model, in multiples of the file: its parts, the whole file, the parsed graph,
 * the weights.
 */
const LOADING = 4;

interface Failure {
  readonly count: number;
  readonly until: number;
  readonly cause: unknown;
}

export class ModelLoader {
  readonly #options: ModelLoaderOptions;
  readonly #mostBytes: number;
  readonly #failures = new Map<string, Failure>();
  readonly #reading = new Map<string, Promise<Uint8Array>>();
  /** The sizes of all models that were ever loaded, about 100 bytes each. */
  readonly #sizes = new Map<string, Needed>();

  constructor(options: ModelLoaderOptions) {
    this.#options = options;
    this.#mostBytes = modelsBytes(options.memoryLimitMb);
  }

  /**
   * Loads the model. Returns its memory in bytes. Rejects with `unavailable` for every failure, since the waiting rows
   * are never the cause.
   * @param makeRoom unloads other models until the model `fits`; returns their number
   */
  async load(child: InferenceProcess, hash: string, when: LoadOccasion, makeRoom: MakeRoom): Promise<number> {
    const failed = this.#failures.get(hash);
    if (failed && this.isResting(hash)) throw unavailable(failed.cause, failed.until - this.#options.now());
    try {
      const size = await this.#readAndLoad(child, hash, when, makeRoom);
      this.#failures.delete(hash);
      return size;
    } catch (error) {
      this.noteFailure(hash, error);
      throw unavailable(error, FIRST_WAIT_MS);
    }
  }

  unload(child: InferenceProcess, hashes: readonly string[]): Promise<void> {
    return child.unload(hashes, this.#options.loadLimit);
  }

  /** Returns whether there is room for a model in a child with `held` bytes of other models. */
  fits({ bytes, fileBytes, held }: Needed & { readonly held: number }): boolean {
    const room = (this.#options.memoryLimitMb - PROCESS_MB) * 1024 * 1024;
    return held === 0 || (held + bytes <= this.#mostBytes && held + fileBytes * LOADING <= room);
  }

  /** Returns the memory of the model when it was loaded; undefined if it never was. */
  sizeOf(hash: string): Needed | undefined {
    return this.#sizes.get(hash);
  }

  /** Records that a loaded model ended its process. It is paused like a model that cannot be loaded. */
  noteFailure(hash: string, cause: unknown): void {
    const { now, log } = this.#options;
    const count = (this.#failures.get(hash)?.count ?? 0) + 1;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (count - 1));
    this.#failures.set(hash, { count, until: now() + wait, cause });
    log('inference.model_not_loaded', { artifact: hash, error: textOf(cause), failures: count, retryMs: wait });
  }

  /** Returns the last failure of the model, until it is loaded; undefined for none. */
  failureOf(hash: string): string | undefined {
    const failed = this.#failures.get(hash);
    return failed && textOf(failed.cause);
  }

  /** Returns whether the model is paused after a failure. */
  isResting(hash: string): boolean {
    return (this.#failures.get(hash)?.until ?? 0) > this.#options.now();
  }

  async #readAndLoad(child: InferenceProcess, hash: string, when: LoadOccasion, makeRoom: MakeRoom): Promise<number> {
    const { loadLimit, onLoad } = this.#options;
    const file = await this.#read(hash);
    const fileBytes = file.length;
    this.#refuseTooLarge(fileBytes);
    const known = this.#sizes.get(hash);
    const unloaded = await makeRoom(known ?? { bytes: fileBytes, fileBytes });
    const loaded = await child.load({ session: hash, bytes: file, sha256: hash }, loadLimit);
    // The measured memory of a child's first model is some MB too high.
    const bytes = Math.min(loaded.bytes, known?.bytes ?? Number.POSITIVE_INFINITY);
    if (bytes > this.#mostBytes) await child.unload([hash], loadLimit);
    this.#refuseTooLarge(bytes);
    this.#sizes.set(hash, { bytes, fileBytes });
    onLoad?.(when, unloaded);
    return bytes;
  }

  /** Reads a file once for all children that start together. */
  #read(hash: string): Promise<Uint8Array> {
    const under = this.#reading.get(hash);
    if (under) return under;
    const bytes = within(
      READ_MS,
      this.#options.loadArtifact(hash, this.#failures.has(hash)),
      () => new Error(`the artifact was not read within ${READ_MS} ms`),
    ).finally(() => this.#reading.delete(hash));
    this.#reading.set(hash, bytes);
    return bytes;
  }

  #refuseTooLarge(bytes: number): void {
    if (bytes <= this.#mostBytes) return;
    throw new TandemError('model_refused', ...tooLargeForChild(bytes, this.#options.memoryLimitMb));
  }
}

function unavailable(cause: unknown, waitMs: number): TandemError {
  return new TandemError('unavailable', `the model cannot be loaded now: ${textOf(cause)}`, {
    cause,
    retryAfter: Math.ceil(waitMs / 1000),
    ...(isTandemError(cause) && cause.remedy !== undefined ? { remedy: cause.remedy } : {}),
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Logs events of this library for the operator: `noun.verb`, with fields. */
export type InferenceLog = (event: string, fields: Readonly<Record<string, unknown>>) => void;
