/**
 * Loads a version's model into a child. A model that cannot be loaded is not tried again at once: it waits longer after
 * each failure, so that one bad artifact cannot keep every child busy dying of it.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { within } from '@tandem/timing/within';
import type { InferenceProcess } from '../process/inference-process.ts';
import type { TimeLimit } from '../process/time-limit.ts';

interface ModelLoaderOptions {
  /** The bytes of an artifact by their sha256 in hex. */
  loadArtifact(hash: string): Promise<Uint8Array>;
  /** Of the load in a child. */
  readonly loadLimit: TimeLimit;
  readonly log: InferenceLog;
  /** Milliseconds that only ever rise. */
  readonly now: () => number;
}

export interface ModelLoader {
  /** Rejects with `unavailable`, whatever went wrong: it is never the fault of the rows that wait for it. */
  load(process: InferenceProcess, hash: string, release: readonly string[]): Promise<void>;
  /** A loaded model took its process with it: it rests, as one that cannot be loaded. */
  noteFailure(hash: string, cause: unknown): void;
  /** What went wrong with it last, until it is loaded; undefined: nothing. */
  failureOf(hash: string): string | undefined;
  /** Whether it failed lately, and is not to be tried again yet. */
  isResting(hash: string): boolean;
  /** From now on what is read is kept for the next child, up to a bound; ends with the call of what it gives. */
  keepRead(): () => void;
}

/** How long the bytes of an artifact may take to come, in ms. */
const READ_MS = 30_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** Bytes of artifacts that are kept for the next child. */
const MOST_KEPT = 256 * 1024 * 1024;

interface Failure {
  readonly count: number;
  readonly until: number;
  readonly cause: unknown;
}

export function createModelLoader({ loadArtifact, loadLimit, log, now }: ModelLoaderOptions): ModelLoader {
  const failures = new Map<string, Failure>();
  const reading = new Map<string, Promise<Uint8Array>>();
  const kept = new Map<string, Uint8Array>();
  let keepers = 0;

  /** Children that start together share one read. */
  function read(hash: string): Promise<Uint8Array> {
    const known = kept.get(hash);
    if (known) return Promise.resolve(known);
    const under = reading.get(hash);
    if (under) return under;
    const bytes = within(
      READ_MS,
      loadArtifact(hash),
      () => new Error(`the artifact was not read within ${READ_MS} ms`),
    ).finally(() => reading.delete(hash));
    reading.set(hash, bytes);
    return bytes;
  }

  function keep(hash: string, bytes: Uint8Array): void {
    const sum = [...kept.values()].reduce((total, { length }) => total + length, bytes.length);
    if (keepers > 0 && sum <= MOST_KEPT) kept.set(hash, bytes);
  }

  function isResting(hash: string): boolean {
    return (failures.get(hash)?.until ?? 0) > now();
  }

  function noteFailure(hash: string, cause: unknown): void {
    const count = (failures.get(hash)?.count ?? 0) + 1;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (count - 1));
    failures.set(hash, { count, until: now() + wait, cause });
    log('inference.model_not_loaded', { artifact: hash, error: textOf(cause), failures: count, retryMs: wait });
  }

  return {
    async load(process, hash, release) {
      const failed = failures.get(hash);
      if (failed && isResting(hash)) throw unavailable(failed.cause, failed.until - now());
      try {
        const bytes = await read(hash);
        keep(hash, bytes);
        await process.load({ session: hash, bytes, sha256: hash }, release, loadLimit);
        failures.delete(hash);
      } catch (error) {
        noteFailure(hash, error);
        throw unavailable(error, FIRST_WAIT_MS);
      }
    },
    noteFailure,
    failureOf(hash) {
      const failed = failures.get(hash);
      return failed && textOf(failed.cause);
    },
    isResting,
    keepRead() {
      keepers++;
      return () => {
        if (--keepers === 0) kept.clear();
      };
    },
  };
}

function unavailable(cause: unknown, waitMs: number): TandemError {
  return new TandemError('unavailable', `the model cannot be loaded at present: ${textOf(cause)}`, {
    cause,
    retryAfter: Math.ceil(waitMs / 1000),
    ...(isTandemError(cause) && cause.remedy !== undefined ? { remedy: cause.remedy } : {}),
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the parts of this library tell the operator: one event, `noun.verb`, with its fields. */
export type InferenceLog = (event: string, fields: Readonly<Record<string, unknown>>) => void;
