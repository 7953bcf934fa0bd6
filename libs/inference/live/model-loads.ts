/**
 * Loads models into all children without blocking the children that serve. ONNX Runtime blocks a child while it creates a
 * session, so a new child with a lower priority loads the models instead, and runs each of them once. Then it replaces one of
 * the serving children, which exits after its current run. Children are replaced one at a time: while models load, there is
 * one child more than usual.
 *
 * A new child must load everything that the serving child has loaded; otherwise it does not replace it. So a model that is too
 * large fails by itself, and never displaces a model that serves.
 */

import { isTandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { LoadOutcome } from '@tandem/prediction/rollouts/loaded-versions';
import { OneAtATime } from '@tandem/timing/one-at-a-time';
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

interface ModelLoadsOptions {
  readonly slots: readonly Slot[];
  readonly loader: ModelLoader;
  readonly process: Omit<ProcessOptions, 'boundData' | 'isInBackground'>;
}

/** A child that replaces a serving one, and the artifacts that it has loaded. */
interface Heir {
  readonly child: InferenceProcess;
  readonly models: ReadonlySet<string>;
}

const BLOCKED_BY_SERVING = 'what the children at work hold could not be loaded beside it';

export class ModelLoads {
  readonly #options: ModelLoadsOptions;
  /** Children that load models and do not serve yet. */
  readonly #raising = new Set<InferenceProcess>();
  readonly #loaded = new Set<string>();
  #wanted: readonly string[] = [];
  readonly #line = new OneAtATime();
  #isClosed = false;
  #failedStarts = 0;

  constructor(options: ModelLoadsOptions) {
    this.#options = options;
  }

  /** See InferencePool. */
  load(versions: readonly ModelVersion[]): Promise<readonly LoadOutcome[]> {
    return this.#line.run(() => this.#loadAll(versions));
  }

  /** Returns the artifacts that a new child loads before it takes work. */
  loaded(): Iterable<string> {
    return this.#loaded;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#raising].map(end));
  }

  async #loadAll(versions: readonly ModelVersion[]): Promise<readonly LoadOutcome[]> {
    const { slots, loader } = this.#options;
    const hashes = versions.map(({ artifactHash }) => artifactHash);
    const dropped = this.#wanted.filter((hash) => !hashes.includes(hash));
    this.#wanted = hashes;
    for (const hash of dropped) this.#loaded.delete(hash);
    let trouble = BLOCKED_BY_SERVING;
    const tryToRenew = (slot: Slot) =>
      this.#renew(slot, versions, dropped).catch((error: unknown) => {
        if (this.#isClosed) throw error;
        trouble = error instanceof Error ? error.message : String(error);
      });
    const endKeeping = loader.keepRead();
    try {
      // A slot without a child serves no reader: all such slots at once.
      await Promise.all(slots.filter((slot) => slot.state() === 'cold').map(tryToRenew));
      for (const slot of slots) await tryToRenew(slot);
    } finally {
      endKeeping();
    }
    return versions.map(({ id, artifactHash }) => {
      const isLoaded = slots.every((slot) => slot.hasLoaded(artifactHash));
      return { modelVersionId: id, error: isLoaded ? null : (loader.failureOf(artifactHash) ?? trouble) };
    });
  }

  async #renew(slot: Slot, versions: readonly ModelVersion[], dropped: readonly string[]): Promise<void> {
    const { loader } = this.#options;
    // A new child loads what the child before it had loaded.
    await slot.whenFree();
    for (let heir: Heir | null = null; !heir; ) {
      if (this.#isClosed) throw new Error('the pool is closed');
      const isLoaded = ({ artifactHash }: ModelVersion) => slot.hasLoaded(artifactHash);
      const ripe = versions.filter((version) => isLoaded(version) || !loader.isResting(version.artifactHash));
      const [before, more] = [ripe.filter(isLoaded), ripe.filter((version) => !isLoaded(version))];
      const isOutdated = dropped.some((hash) => slot.hasLoaded(hash));
      if (more.length === 0 && !isOutdated) return;
      if (before.some(({ artifactHash }) => loader.isResting(artifactHash))) return;
      heir = await this.#raise([...before, ...more], slot.state() !== 'cold');
      if (!heir) continue;
      const { child, models } = heir;
      const isWhole = before.every(({ artifactHash }) => models.has(artifactHash));
      const isBetter = isOutdated || more.some(({ artifactHash }) => models.has(artifactHash));
      if (!isWhole || !isBetter) return end(child);
      await slot.adopt(child, [...models]);
      for (const hash of models) this.#loaded.add(hash);
    }
  }

  /** A child that loaded what it could of these; null where one of them, which rests now, took it with it. */
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
