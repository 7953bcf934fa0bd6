/**
 * Has all children hold the same models without anybody waiting for a load: ONNX Runtime blocks a child for as long as it
 * takes to put a session together, so that is done in a fresh child beside those at work, with less of a claim to a processor. Once it
 * holds all models that are wanted, and has run each of them, it takes the place of one of the others after its run, which
 * then ends, and with it whatever it held that is wanted no more. One place after another: while models are loaded there is
 * one child more than else.
 *
 * What the child at work holds comes first, and a child without it takes no place: a model that is too large fails, not
 * those that were there before it.
 */

import { isTandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import {
  BOUND_STARTS,
  type InferenceProcess,
  type ProcessOptions,
  startInferenceProcess,
} from '../process/inference-process.ts';
import { cpuLimit } from '../process/time-limit.ts';
import { encodeInputs, joinInputs } from '../tensors/batch-tensors.ts';
import { makeUpRows } from '../tensors/made-up-rows.ts';
import type { ModelLoader } from './model-loader.ts';
import type { Slot } from './slot.ts';

interface ModelHolderOptions {
  readonly slots: readonly Slot[];
  readonly loader: ModelLoader;
  readonly process: Omit<ProcessOptions, 'boundData' | 'isInBackground'>;
}

/** How a version is held. */
export interface HeldModel {
  readonly modelVersionId: string;
  /** Why a child does not hold it; null: each does. */
  readonly error: string | null;
}

/** A child that is to take another's place, and the artifacts that it holds. */
interface Heir {
  readonly child: InferenceProcess;
  readonly models: ReadonlySet<string>;
}

const HELD_UP = 'what the children at work hold could not be loaded beside it';

export class ModelHolder {
  readonly #options: ModelHolderOptions;
  /** Children that load models and have no place yet. */
  readonly #raising = new Set<InferenceProcess>();
  readonly #held = new Set<string>();
  #wanted: readonly string[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #failedStarts = 0;

  constructor(options: ModelHolderOptions) {
    this.#options = options;
  }

  /** See InferencePool. */
  hold(versions: readonly ModelVersion[]): Promise<readonly HeldModel[]> {
    const result = this.#last.then(() => this.#holdAll(versions));
    this.#last = result.catch(() => {});
    return result;
  }

  /** The artifacts that a new child at a place loads before it takes work: they were held before. */
  held(): Iterable<string> {
    return this.#held;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#raising].map(end));
  }

  async #holdAll(versions: readonly ModelVersion[]): Promise<readonly HeldModel[]> {
    const { slots, loader } = this.#options;
    const hashes = versions.map(({ artifactHash }) => artifactHash);
    const dropped = this.#wanted.filter((hash) => !hashes.includes(hash));
    this.#wanted = hashes;
    for (const hash of dropped) this.#held.delete(hash);
    let trouble = HELD_UP;
    const tryToRenew = (slot: Slot) =>
      this.#renew(slot, versions, dropped).catch((error: unknown) => {
        if (this.#isClosed) throw error;
        trouble = error instanceof Error ? error.message : String(error);
      });
    const endKeeping = loader.keepRead();
    try {
      // Where there is no child yet nobody is served by it: all such places at once.
      await Promise.all(slots.filter((slot) => slot.state() === 'cold').map(tryToRenew));
      for (const slot of slots) await tryToRenew(slot);
    } finally {
      endKeeping();
    }
    return versions.map(({ id, artifactHash }) => {
      const isHeld = slots.every((slot) => slot.holds(artifactHash));
      return { modelVersionId: id, error: isHeld ? null : (loader.failureOf(artifactHash) ?? trouble) };
    });
  }

  async #renew(slot: Slot, versions: readonly ModelVersion[], dropped: readonly string[]): Promise<void> {
    const { loader } = this.#options;
    // A child that begins loads what was held before it.
    await slot.whenFree();
    for (let heir: Heir | null = null; !heir; ) {
      if (this.#isClosed) throw new Error('the pool is closed');
      const isHeld = ({ artifactHash }: ModelVersion) => slot.holds(artifactHash);
      const ripe = versions.filter((version) => isHeld(version) || !loader.isResting(version.artifactHash));
      const [before, more] = [ripe.filter(isHeld), ripe.filter((version) => !isHeld(version))];
      const isOutdated = dropped.some((hash) => slot.holds(hash));
      if (more.length === 0 && !isOutdated) return;
      if (before.some(({ artifactHash }) => loader.isResting(artifactHash))) return;
      heir = await this.#raise([...before, ...more], slot.state() !== 'cold');
      if (!heir) continue;
      const { child, models } = heir;
      const isWhole = before.every(({ artifactHash }) => models.has(artifactHash));
      const isBetter = isOutdated || more.some(({ artifactHash }) => models.has(artifactHash));
      if (!isWhole || !isBetter) return end(child);
      await slot.adopt(child, [...models]);
      for (const hash of models) this.#held.add(hash);
    }
  }

  /** A child that holds what could be loaded of these; null where one of them, which rests now, took it with it. */
  async #raise(versions: readonly ModelVersion[], isInBackground: boolean): Promise<Heir | null> {
    const boundData = this.#failedStarts < BOUND_STARTS;
    const child = startInferenceProcess({ ...this.#options.process, boundData, isInBackground });
    this.#raising.add(child);
    const models = new Set<string>();
    try {
      this.#failedStarts++;
      await child.ready;
      this.#failedStarts = 0;
      for (const version of versions) if (await this.#warmUp(child, version)) models.add(version.artifactHash);
      return { child, models };
    } catch (error) {
      await end(child);
      if (this.#failedStarts > 0 || this.#isClosed) throw error;
      return null;
    } finally {
      this.#raising.delete(child);
    }
  }

  /** Whether the model is ready in the child; rejects where the child is gone, for which the model is to rest. */
  async #warmUp(child: InferenceProcess, version: ModelVersion): Promise<boolean> {
    const { loader } = this.#options;
    const { artifactHash } = version;
    try {
      await loader.load(child, artifactHash, []);
    } catch (error) {
      if (child.isAlive()) return false;
      throw error;
    }
    try {
      await warmUpRuns(child, version);
      return true;
    } catch (error) {
      loader.noteFailure(artifactHash, error);
      throw error;
    }
  }
}

async function end(child: InferenceProcess): Promise<void> {
  child.kill('it is not needed');
  await child.ended;
}

// A model's first runs, made before anybody waits for one: they allocate what later runs use again, and show that the
// model runs within the bounds of its child. Whether its answers are right was tried when it was taken on (trial.ts).

/** Users of each run; one alone is the commonest, and the first run of all the dearest. */
const SIZES = [1, 1, 2, 7, 64];
/** Of one run: a model that takes more would be killed by its readers' deadlines. */
const RUN_LIMIT = cpuLimit(10_000);

/**
 * Runs the loaded model on made-up users. One whom it refuses, as it may a real one, says nothing against it.
 * Rejects with ProcessEnded where the process does not survive, `overloaded` where the machine gave it too little CPU.
 */
async function warmUpRuns(process: InferenceProcess, version: ModelVersion): Promise<void> {
  const { artifactHash, inputs, outputs, rowByRow = false } = version;
  const batch = makeUpRows(version, Math.max(...SIZES));
  const fetches = [...new Set(outputs.map(({ output }) => output))];
  for (const size of SIZES) {
    const rows = Array.from({ length: size }, (_, row) => row);
    try {
      const feeds = joinInputs([encodeInputs(inputs, batch, rows)], size);
      await process.run({ session: artifactHash, feeds, fetches, rowByRow }, RUN_LIMIT);
    } catch (error) {
      if (!isTandemError(error, 'live_failed', 'features_unusable')) throw error;
    }
  }
}
