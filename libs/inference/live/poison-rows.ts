/**
 * Remembers rows with which a model hangs or crashes, so that repeated reads of poison users do not keep every child
 * busy. A poison row has ended its process alone: it is refused, and runs alone again if it is read after a pause. A
 * suspect row was in a live run of several rows that hung: it is refused until it has run alone, for a few seconds at
 * most. One row at a time runs alone, while the other children serve other rows. No row of a model affects another
 * model.
 *
 * Rows are compared by their features, so that a user is served as soon as they change. Batches isolate poison rows
 * themselves (isolate-poison.ts).
 */
import { createHash } from 'node:crypto';
import { isTandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import { ProcessEnded } from '../process/inference-process.ts';
import { cutInputs } from '../tensors/batch-tensors.ts';
import { mayBeForeign } from './artifact-breaker.ts';
import { type Pending, paceOf, rowsOf, type Work } from './pending-requests.ts';
import type { Part } from './waiting-line.ts';

/** A row to run alone. */
export interface LoneRow extends Pick<Work, 'version' | 'inputs' | 'outputs'> {
  /** A digest of the features. */
  readonly key: string;
  /** The most milliseconds of CPU of its run. */
  readonly limitMs: number;
}

interface PoisonRowsOptions {
  /** Runs a row alone. Rejects with `ProcessEnded`, or an error with this cause, if that ends the process. */
  runAlone(row: LoneRow): Promise<unknown>;
  /** Returns the milliseconds of a monotonic clock. */
  readonly now: () => number;
}

/** The least limit of a lone run. A new child needs more time for its first run. */
const LEAST_LIMIT_MS = 500;
/** The most poison rows of a model. The earliest are forgotten. */
const MAX_POISON_ROWS = 256;
/**
 * The most suspect rows of a model. The rows of a larger run are not suspects, so that a caller's request of many rows
 * does not block the rows of others.
 */
const MAX_SUSPECTS = 32;
/** How long a suspect row waits to run alone. Then it is released, and may share a run again. */
const SUSPECT_MS = 5_000;
/** How long the live runs of a model stay small enough for suspects, after a larger run hung. */
const SMALL_RUNS_MS = 60_000;
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 600_000;
/**
 * After a lone run, no poison row of the model is tried again for this multiple of its time. So these retries take at
 * most a tenth of one child. The first runs of suspect rows take more, but are requested only within 5 s of a live run
 * that hung.
 */
const REST = 9;
/** After this many rows in a row without success, the other suspects are released: the model may be at fault. */
const MOST_IN_A_ROW = 2;
/**
 * A run that took less CPU than this share of its time limit may be late because of the machine. With a limit of half a
 * second, a row that hangs takes as much with 1 % of a processor, because its child is killed a second after the limit.
 * (Measured: 1 to 2.5 % of a processor at a load of 15 on two processors.)
 */
const LEAST_CPU_SHARE = 0.03;

export class PoisonRows {
  readonly #options: PoisonRowsOptions;
  /** By artifact hash, in the order in which their rows last ran alone. */
  readonly #models = new Map<string, ModelRows>();
  #isTrying = false;

  constructor(options: PoisonRowsOptions) {
    this.#options = options;
  }

  /** Returns the error for the rows of a live request that may not run; undefined if all may run. */
  refusal(request: Work): RowsRefused | undefined {
    if (this.#models.size === 0) return undefined;
    // The result of a lone run belongs to a model that is still remembered.
    if (!this.#isTrying) for (const [hash, rows] of this.#models) if (rows.forgetOld()) this.#models.delete(hash);
    const model = this.#models.get(request.version.artifactHash);
    if (!model?.hasRows()) return undefined;
    const refused = new Map<number, string>();
    let waitMs = 1;
    for (const [i, row] of cutRows(request, request.rows.length, paceOf(request)).entries()) {
      const found = model.find(row.key);
      if (!found) continue;
      refused.set(request.rows[i] ?? i, found.why);
      waitMs = Math.max(waitMs, found.waitMs);
      if (found.waitMs === 0 && !this.#isTrying) void this.#tryAll({ model, row });
    }
    const retryAfter = Math.ceil(waitMs / 1_000);
    return refused.size > 0 ? new RowsRefused('live_failed', refused, { retryAfter }) : undefined;
  }

  /** Returns the most rows of a live run of this version. */
  mostRows({ artifactHash }: ModelVersion): number {
    if (this.#models.size === 0) return Number.POSITIVE_INFINITY;
    return this.#models.get(artifactHash)?.mostRows() ?? Number.POSITIVE_INFINITY;
  }

  /** Records a live run that failed. Call it after the parts to retry wait again. */
  failed(parts: readonly Part<Pending>[], error: unknown): void {
    const [first] = parts;
    const limitMs = Math.max(...parts.map(({ request }) => paceOf(request)));
    // A kill from outside says nothing about the rows.
    if (!first || !(error instanceof ProcessEnded) || mayBeForeign(error) || !tookCpu(error, limitMs)) return;
    const isAlone = rowsOf(parts) === 1;
    // The caller halves rows that crash together. Rows that hang have no caller any more.
    if (!isAlone && error.why !== 'deadline') return;
    const model = this.#modelOf(first.version);
    const isLarge = rowsOf(parts) > MAX_SUSPECTS;
    if (isLarge) model.keepRunsSmall();
    const ended = parts.filter((part) => !part.waiting && !isLarge);
    for (const row of ended.flatMap((part) => cutRows(part, part.rows, paceOf(part.request)))) {
      if (model.find(row.key)) continue;
      if (isAlone) model.addPoison(row.key, error.message);
      else model.addSuspect(row, error.message);
    }
    if (!this.#isTrying) void this.#tryAll();
  }

  #modelOf({ artifactHash }: ModelVersion): ModelRows {
    const model = this.#models.get(artifactHash) ?? new ModelRows(this.#options.now);
    this.#models.set(artifactHash, model);
    return model;
  }

  /** Runs rows alone, one after another, while any model has suspects. */
  async #tryAll(next = this.#nextSuspect()): Promise<void> {
    const { runAlone, now } = this.#options;
    this.#isTrying = true;
    for (; next; next = this.#nextSuspect()) {
      const startedAt = now();
      const error = await runAlone(next.row).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      next.model.ranAlone(next.row, error, now() - startedAt);
    }
    this.#isTrying = false;
  }

  /** Returns the next suspect. Models take turns. */
  #nextSuspect(): { readonly model: ModelRows; readonly row: LoneRow } | undefined {
    for (const [hash, model] of this.#models) {
      const row = model.nextSuspect();
      if (!row) continue;
      this.#models.delete(hash);
      this.#models.set(hash, model);
      return { model, row };
    }
    return undefined;
  }
}

interface Suspect {
  readonly row: LoneRow;
  /** When it is released; Infinity while it runs alone. */
  readonly until: number;
  /** How the process ended. */
  readonly how: string;
}

interface Poison {
  /** When the row may run alone again. */
  readonly until: number;
  /** The pause before `until`, in ms. */
  readonly pauseMs: number;
  readonly how: string;
}

/** The suspect rows and the poison rows of one model. */
class ModelRows {
  readonly #now: () => number;
  /** By key, the latest last. */
  readonly #suspects = new Map<string, Suspect>();
  readonly #poison = new Map<string, Poison>();
  #failuresInARow = 0;
  #restUntil = 0;
  #smallRunsUntil = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns why a row is refused, and for how many ms; undefined if it may run. */
  find(key: string): { readonly why: string; readonly waitMs: number } | undefined {
    const leftMs = (until: number) => Math.max(0, until - this.#now());
    const suspect = this.#suspects.get(key);
    if (suspect && leftMs(suspect.until) > 0) {
      return {
        why: `a run with these features hung: ${suspect.how}`,
        waitMs: Math.min(SUSPECT_MS, leftMs(suspect.until)),
      };
    }
    const poison = this.#poison.get(key);
    if (!poison) return undefined;
    const waitMs = leftMs(Math.max(poison.until, this.#restUntil));
    return { why: `these features made the model hang or crash: ${poison.how}`, waitMs };
  }

  hasRows(): boolean {
    return this.#suspects.size + this.#poison.size > 0;
  }

  mostRows(): number {
    return this.#smallRunsUntil > this.#now() ? MAX_SUSPECTS : Number.POSITIVE_INFINITY;
  }

  keepRunsSmall(): void {
    this.#smallRunsUntil = this.#now() + SMALL_RUNS_MS;
  }

  addSuspect(row: LoneRow, how: string): void {
    const now = this.#now();
    for (const [key, { until }] of this.#suspects) if (until <= now) this.#suspects.delete(key);
    if (this.#suspects.size >= MAX_SUSPECTS) return;
    this.#suspects.set(row.key, { row, until: now + SUSPECT_MS, how });
  }

  addPoison(key: string, how: string, pauseMs = FIRST_PAUSE_MS): void {
    this.#poison.delete(key);
    if (this.#poison.size >= MAX_POISON_ROWS) this.#poison.delete(this.#poison.keys().next().value ?? '');
    this.#poison.set(key, { until: this.#now() + pauseMs, pauseMs, how });
  }

  /** Returns the suspect to run alone now. It is refused until `ranAlone`. */
  nextSuspect(): LoneRow | undefined {
    for (const [key, suspect] of this.#suspects) {
      if (suspect.until > this.#now()) {
        this.#suspects.set(key, { ...suspect, until: Number.POSITIVE_INFINITY });
        return suspect.row;
      }
      this.#suspects.delete(key);
    }
    return undefined;
  }

  /** Records that a row has run alone, for this many ms. */
  ranAlone({ key, limitMs }: LoneRow, error: unknown, ranMs: number): void {
    this.#restUntil = this.#now() + REST * ranMs;
    this.#suspects.delete(key);
    const before = this.#poison.get(key);
    const end = error instanceof Error && error.cause instanceof ProcessEnded ? error.cause : error;
    const isHealthy = error === undefined || isTandemError(error, 'live_failed');
    if (end instanceof ProcessEnded && !mayBeForeign(end) && tookCpu(end, limitMs)) {
      this.addPoison(key, end.message, before && Math.min(LONGEST_PAUSE_MS, 2 * before.pauseMs));
    } else if (isHealthy) this.#poison.delete(key);
    else if (before) this.addPoison(key, before.how, before.pauseMs);
    this.#failuresInARow = isHealthy ? 0 : this.#failuresInARow + 1;
    if (this.#failuresInARow >= MOST_IN_A_ROW) this.#suspects.clear();
    if (this.#suspects.size === 0) this.#failuresInARow = 0;
  }

  /** Forgets the earliest poison row if it was not read for long. Returns whether nothing is left to remember. */
  forgetOld(): boolean {
    const [first] = this.#poison;
    if (first && first[1].until + LONGEST_PAUSE_MS < this.#now()) this.#poison.delete(first[0]);
    return !this.hasRows() && this.#smallRunsUntil <= this.#now();
  }
}

/** Returns whether a process took enough CPU for a run with this limit. */
function tookCpu({ cpuMs = Number.POSITIVE_INFINITY }: ProcessEnded, limitMs: number): boolean {
  return cpuMs >= limitMs * LEAST_CPU_SHARE;
}

function cutRows({ version, inputs, outputs }: Omit<LoneRow, 'key' | 'limitMs'>, rows: number, paceMs: number) {
  return Array.from({ length: rows }, (_, start): LoneRow => {
    const row = cutInputs(inputs, start, 1);
    const hash = createHash('sha256');
    for (const { data } of row) hash.update('buffer' in data ? viewOf(data) : JSON.stringify(data));
    return { key: hash.digest('base64'), version, inputs: row, outputs, limitMs: Math.max(LEAST_LIMIT_MS, paceMs) };
  });
}

function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
