/**
 * Remembers rows with which a model hangs or crashes, so that repeated reads of poison users do not keep every child
 * busy. A row that ends its process alone is poison: it is rejected, and runs alone again if it is read after a pause.
 * The rows of a live run that hung are suspects: they are rejected until each has run alone. One row at a time runs
 * alone, while the other children serve other rows.
 *
 * Rows are compared by their features, so that a user is served as soon as they change. Batches isolate poison rows
 * themselves (isolate-poison.ts).
 */
import { createHash } from 'node:crypto';
import { isTandemError } from '@tandem/freshness/errors';
import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import { ProcessEnded } from '../process/inference-process.ts';
import { cutInputs } from '../tensors/batch-tensors.ts';
import { mayBeForeign } from './artifact-breaker.ts';
import { type Part, type Pending, paceOf, type Work } from './waiting-requests.ts';

/** A row to run alone. */
export interface LoneRow extends Pick<Work, 'version' | 'inputs' | 'outputs'> {
  /** A digest of the model and the features. */
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

export interface PoisonRows {
  /** Returns the error for the rows of a live request that may not run; undefined if all may run. */
  refusal(request: Work): RowsRefused | undefined;
  /** Records a live run that failed after this many ms. Call it after the parts to retry wait again. */
  failed(parts: readonly Part<Pending>[], error: unknown, ranMs: number): void;
}

interface Known {
  /** When the row may run alone again; Infinity while it waits for that. */
  readonly until: number;
  /** The pause before `until`, in ms; 0 for a suspect. */
  readonly pauseMs: number;
  /** How the process ended. */
  readonly how: string;
}

/** The least limit of a lone run. A new child needs more time for its first run. */
const LEAST_LIMIT_MS = 500;
/** The most suspects and poison rows. The earliest are forgotten. */
const MAX_ROWS = 256;
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 600_000;
/** After a poison row, none is tried again for this multiple of its run: they take at most a tenth of one child. */
const REST = 9;
/** After this many rows in a row without success, the other suspects are released: the model may be at fault. */
const MOST_IN_A_ROW = 2;
/** A run with less than this share of a processor may be late because of the machine. */
const LEAST_CPU_SHARE = 0.03;

export function createPoisonRows({ runAlone, now }: PoisonRowsOptions): PoisonRows {
  /** Suspects and poison rows by key, the latest last. */
  const known = new Map<string, Known>();
  const waiting: LoneRow[] = [];
  let isTrying = false;
  let restUntil = 0;

  function remember({ key }: LoneRow, pauseMs: number, how: string, until = now() + pauseMs): void {
    known.delete(key);
    if (known.size >= MAX_ROWS) known.delete(known.keys().next().value ?? '');
    known.set(key, { until, pauseMs, how });
  }

  function tryAlone(row: LoneRow, pauseMs: number, how: string): void {
    if (waiting.length >= MAX_ROWS) return;
    remember(row, pauseMs, how, Number.POSITIVE_INFINITY);
    waiting.push(row);
    if (!isTrying) void tryAll();
  }

  async function tryAll(): Promise<void> {
    isTrying = true;
    let inARow = 0;
    for (let row = waiting.shift(); row; row = waiting.shift()) {
      const startedAt = now();
      const error = await runAlone(row).catch((reason: Error) => reason);
      const end = error instanceof Error && error.cause instanceof ProcessEnded ? error.cause : error;
      inARow++;
      if (end instanceof ProcessEnded && isOfTheRow(end, row.limitMs)) {
        const { pauseMs = 0 } = known.get(row.key) ?? {};
        remember(row, Math.min(LONGEST_PAUSE_MS, 2 * pauseMs) || FIRST_PAUSE_MS, end.message);
        restUntil = now() + REST * (now() - startedAt);
      } else if (!(error instanceof Error) || isTandemError(error, 'live_failed')) {
        known.delete(row.key);
        inARow = 0;
      } else release(row);
      if (inARow >= MOST_IN_A_ROW) for (const other of waiting.splice(0)) release(other);
    }
    isTrying = false;
  }

  /** Ends the wait of a row without a result. A suspect may run again. */
  function release(row: LoneRow): void {
    const { pauseMs = 0, how = '' } = known.get(row.key) ?? {};
    if (pauseMs > 0) remember(row, pauseMs, how);
    else known.delete(row.key);
  }

  return {
    refusal(request) {
      const [first] = known;
      if (!first) return undefined;
      if (first[1].until + LONGEST_PAUSE_MS < now()) known.delete(first[0]);
      const refused = new Map<number, string>();
      for (const [i, row] of cutRows(request, request.rows.length, paceOf(request)).entries()) {
        const found = known.get(row.key);
        if (!found) continue;
        refused.set(request.rows[i] ?? i, `these features made the model hang or crash: ${found.how}`);
        if (Math.max(found.until, restUntil) <= now() && !isTrying) tryAlone(row, found.pauseMs, found.how);
      }
      return refused.size > 0 ? new RowsRefused('live_failed', refused) : undefined;
    },
    failed(parts, error, ranMs) {
      // A kill from outside says nothing about the rows.
      if (!(error instanceof ProcessEnded) || mayBeForeign(error)) return;
      const ended = parts.filter((part) => !part.waiting);
      const rows = ended.flatMap((part) => cutRows(part, part.rows, paceOf(part.request)));
      const wasAlone = parts.length === 1 && rows.length === 1;
      if (wasAlone && !isOfTheRow(error, ranMs)) return;
      for (const row of rows.filter(({ key }) => !known.has(key))) {
        if (wasAlone) remember(row, FIRST_PAUSE_MS, error.message);
        // The caller halves rows that crash together. Rows that hang have no caller any more.
        else if (error.why === 'deadline') tryAlone(row, 0, error.message);
      }
    },
  };
}

/** Returns whether a process ended because of its only row, which ran for this many ms. */
function isOfTheRow({ cpuMs = Number.POSITIVE_INFINITY }: ProcessEnded, ranMs: number): boolean {
  return cpuMs >= ranMs * LEAST_CPU_SHARE;
}

function cutRows({ version, inputs, outputs }: Omit<LoneRow, 'key' | 'limitMs'>, rows: number, paceMs: number) {
  return Array.from({ length: rows }, (_, start): LoneRow => {
    const row = cutInputs(inputs, start, 1);
    const hash = createHash('sha256').update(version.artifactHash);
    for (const { data } of row) hash.update('buffer' in data ? viewOf(data) : JSON.stringify(data));
    return { key: hash.digest('base64'), version, inputs: row, outputs, limitMs: Math.max(LEAST_LIMIT_MS, paceMs) };
  });
}

function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
