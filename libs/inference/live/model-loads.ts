/**
 * Loads wanted models into the children without blocking the serving ones. A new model is first loaded and run in a
 * separate child with a lower priority. A model that cannot be loaded, or crashes its child, then does not affect the
 * serving children. ONNX Runtime blocks a child while it creates a session. A model that loads quickly is loaded into
 * each serving child between two runs. For any other model, a new child loads it together with the models of a serving
 * child, and replaces that child after its current run. Children are replaced one at a time.
 *
 * A model is ready when it was loaded and run within the memory limit of a child, and was given to each child. It stays
 * ready when a child unloads it for lack of memory: a read loads it again, within the limits of a load.
 */

import { isTandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { LoadOutcome } from '@tandem/prediction/processes/loaded-versions';
import { OneAtATime } from '@tandem/timing/one-at-a-time';
import { BOUND_STARTS, InferenceProcess, type ProcessOptions } from '../process/inference-process.ts';
import { cpuLimit } from '../process/time-limit.ts';
import { encodeInputs, joinInputs } from '../tensors/batch-tensors.ts';
import { makeUpRows } from '../tensors/made-up-rows.ts';
import { HeldModels } from './held-models.ts';
import type { LoadOccasion, ModelLoader } from './model-loader.ts';
import type { WarmUpRuns } from './run-cost.ts';
import type { Slot } from './slot.ts';

interface ModelLoadsOptions {
  readonly slots: readonly Slot[];
  readonly loader: ModelLoader;
  readonly process: Omit<ProcessOptions, 'boundData' | 'isInBackground'>;
  onWarmedUp(version: ModelVersion, runs: WarmUpRuns): void;
}

/**
 * The largest file, in bytes, that is loaded between two runs. It takes about 25 ms of CPU time, for which a read may
 * wait.
 */
const QUICK_BYTES = 8_000_000;
const BLOCKED_BY_SERVING = 'the models of the serving children could not be loaded with it';

export class ModelLoads {
  readonly #options: ModelLoadsOptions;
  /** Children that load models and do not serve yet. */
  readonly #raising = new Set<InferenceProcess>();
  /** Artifacts that were loaded and run. A model that is wanted again, after a rollback, needs no second trial. */
  readonly #proven = new Set<string>();
  /** The artifacts that were given to each slot. */
  readonly #given = new WeakMap<Slot, Set<string>>();
  #wanted: readonly string[] = [];
  readonly #line = new OneAtATime();
  #isClosed = false;
  #failedStarts = 0;

  constructor(options: ModelLoadsOptions) {
    this.#options = options;
  }

  /** Loads these versions: see InferencePool. */
  load(versions: readonly ModelVersion[]): Promise<readonly LoadOutcome[]> {
    return this.#line.run(() => this.#loadAll(versions));
  }

  /** Returns the artifacts that a new child loads, the most wanted first. */
  proven(): Iterable<string> {
    return this.#wanted.filter((hash) => this.#proven.has(hash));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#raising].map(end));
  }

  async #loadAll(versions: readonly ModelVersion[]): Promise<readonly LoadOutcome[]> {
    const { slots, loader } = this.#options;
    this.#want(versions.map(({ artifactHash }) => artifactHash));
    let trouble = BLOCKED_BY_SERVING;
    const attempt = (work: Promise<void>) =>
      work.catch((error: unknown) => {
        if (this.#isClosed) throw error;
        trouble = error instanceof Error ? error.message : String(error);
      });
    // Slots without a child serve no readers, so all of them are filled at once. Each begins with another part of the
    // models, so that each model is tried once, and children without room for all models load different ones.
    const cold = slots.filter((slot) => slot.state() === 'cold');
    const turned = (turn: number) => {
      const from = Math.floor((versions.length * turn) / cold.length);
      return [...versions.slice(from), ...versions.slice(0, from)];
    };
    await Promise.all(cold.map((slot, turn) => attempt(this.#fill(slot, turned(turn)))));
    const isGiven = ({ artifactHash }: ModelVersion) => slots.every((slot) => this.#givenTo(slot).has(artifactHash));
    const missing = versions.filter((version) => !isGiven(version) && !loader.isResting(version.artifactHash));
    if (missing.length > 0) {
      await attempt(this.#prove(missing));
      for (const slot of slots) await attempt(this.#give(slot, missing, versions));
    }
    return versions.map((version) => {
      const error = isGiven(version) ? null : (loader.failureOf(version.artifactHash) ?? trouble);
      return { modelVersionId: version.id, error };
    });
  }

  #want(hashes: readonly string[]): void {
    const wanted = new Set(hashes);
    const unwanted = this.#wanted.filter((hash) => !wanted.has(hash));
    this.#wanted = hashes;
    if (unwanted.length === 0) return;
    for (const slot of this.#options.slots) {
      for (const hash of unwanted) this.#givenTo(slot).delete(hash);
      // If the child ends meanwhile, its models are unloaded as well.
      slot.unload(unwanted).catch(() => {});
    }
  }

  #givenTo(slot: Slot): Set<string> {
    const given = this.#given.get(slot) ?? new Set();
    this.#given.set(slot, given);
    return given;
  }

  /** Gives a slot its first child, with as many of these models as fit, in order. */
  async #fill(slot: Slot, versions: readonly ModelVersion[]): Promise<void> {
    const models = await this.#raise(() => versions, 'ahead', false);
    if (models) await this.#adopt(slot, models, versions);
  }

  /** Loads and runs models for the first time, in a child that ends afterwards. */
  async #prove(versions: readonly ModelVersion[]): Promise<void> {
    const isNew = ({ artifactHash }: ModelVersion) => !this.#proven.has(artifactHash);
    const models = await this.#raise(() => versions.filter(isNew), 'trial');
    if (models) await end(models.child);
  }

  async #give(slot: Slot, missing: readonly ModelVersion[], versions: readonly ModelVersion[]): Promise<void> {
    const given = this.#givenTo(slot);
    const proven = missing.filter(({ artifactHash }) => this.#proven.has(artifactHash) && !given.has(artifactHash));
    const isQuick = ({ artifactHash }: ModelVersion) =>
      (this.#options.loader.sizeOf(artifactHash)?.fileBytes ?? 0) <= QUICK_BYTES;
    for (const { artifactHash } of proven.filter(isQuick)) {
      await slot.prepare(artifactHash);
      given.add(artifactHash);
    }
    const slow = proven.filter((version) => !isQuick(version));
    if (slow.length === 0) return;
    await slot.whenFree();
    const before = slot.loaded();
    const kept = before.flatMap((hash) => versions.find(({ artifactHash }) => artifactHash === hash) ?? []);
    const models = await this.#raise(() => [...slow, ...kept], 'ahead');
    const isLost = (hash: string) => !models?.has(hash) && this.#options.loader.failureOf(hash) !== undefined;
    if (models && before.some(isLost)) await end(models.child);
    else if (models) await this.#adopt(slot, models, slow);
  }

  async #adopt(slot: Slot, models: HeldModels, versions: readonly ModelVersion[]): Promise<void> {
    if (models.hashes().length === 0) return end(models.child);
    await slot.adopt(models);
    const given = this.#givenTo(slot);
    for (const { artifactHash } of versions) if (this.#proven.has(artifactHash)) given.add(artifactHash);
  }

  /**
   * Starts a child and loads the wanted models that are not paused, as far as they fit. If a model ends the child,
   * repeats it without that model.
   */
  async #raise(
    wanted: () => readonly ModelVersion[],
    when: LoadOccasion,
    isInBackground = true,
  ): Promise<HeldModels | null> {
    for (;;) {
      if (this.#isClosed) throw new Error('the pool is closed');
      const ripe = wanted().filter(({ artifactHash }) => !this.#options.loader.isResting(artifactHash));
      if (ripe.length === 0) return null;
      const models = await this.#raiseOnce(ripe, when, isInBackground);
      if (models) return models;
    }
  }

  /** Starts a child and loads these models. Returns null if one of them ended the child; that model is now paused. */
  async #raiseOnce(
    versions: readonly ModelVersion[],
    when: LoadOccasion,
    isInBackground: boolean,
  ): Promise<HeldModels | null> {
    const boundData = this.#failedStarts < BOUND_STARTS;
    const child = new InferenceProcess({ ...this.#options.process, boundData, isInBackground });
    const models = new HeldModels(child, this.#options.loader);
    this.#raising.add(child);
    try {
      this.#failedStarts++;
      await child.ready;
      this.#failedStarts = 0;
      for (const version of versions) await this.#warmUp(models, version, when);
      return models;
    } catch (error) {
      await end(child);
      if (this.#failedStarts > 0 || this.#isClosed) throw error;
      return null;
    } finally {
      this.#raising.delete(child);
    }
  }

  /** Loads the model if there is room, and runs it. Rejects if the child has ended, and then the model is paused. */
  async #warmUp(models: HeldModels, version: ModelVersion, when: LoadOccasion): Promise<void> {
    const { artifactHash } = version;
    const { child } = models;
    if (this.#proven.has(artifactHash) && !models.hasRoomFor(artifactHash)) return;
    try {
      await models.add(artifactHash, when);
    } catch (error) {
      if (child.isAlive()) return;
      throw error;
    }
    try {
      const runs = await warmUpRuns(child, version);
      if (runs) this.#options.onWarmedUp(version, runs);
      this.#proven.add(artifactHash);
    } catch (error) {
      this.#options.loader.noteFailure(artifactHash, error);
      throw error;
    }
  }
}

async function end(child: InferenceProcess): Promise<void> {
  child.kill('it is not needed');
  await child.ended;
}

// Runs a model before any request. The first runs allocate memory that later runs reuse, and show that the model fits
// the limits of its child. The model's answers were checked by its trial at adoption or push (trial.ts).

/** The users of each run. A single user is most common, and the very first run is the most expensive. */
const SIZES = [1, 1, 2, 7, 64];
/** Limit of one run. A slower model would be killed at the deadlines of its readers. */
const RUN_LIMIT = cpuLimit(10_000);

/**
 * Runs the loaded model on made-up users. A rejected user is not a failure, since the model may reject real users
 * too. Returns the times of the last single row and of the largest run; null if the model rejected one of them. Rejects
 * with ProcessEnded if the process ends, or `overloaded` if the machine gave it too little CPU.
 */
async function warmUpRuns(process: InferenceProcess, version: ModelVersion): Promise<WarmUpRuns | null> {
  const { artifactHash, inputs, outputs, rowByRow = false } = version;
  const batch = makeUpRows(version, Math.max(...SIZES));
  const fetches = [...new Set(outputs.map(({ output }) => output))];
  const tookMs = new Map<number, number>();
  for (const size of SIZES) {
    const startedAt = performance.now();
    const rows = Array.from({ length: size }, (_, row) => row);
    try {
      const feeds = joinInputs([encodeInputs(inputs, batch, rows)], size);
      await process.run({ session: artifactHash, feeds, fetches, rowByRow }, RUN_LIMIT);
      tookMs.set(size, performance.now() - startedAt);
    } catch (error) {
      if (!isTandemError(error, 'live_failed', 'features_unusable')) throw error;
    }
  }
  const [oneMs, rows] = [tookMs.get(1), Math.max(...SIZES)];
  const ms = tookMs.get(rows);
  return oneMs === undefined || ms === undefined ? null : { oneMs, rows, ms };
}
