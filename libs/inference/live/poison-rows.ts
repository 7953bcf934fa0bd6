/**
 * Remembers rows with which a model hangs or crashes, so that repeated reads of poison users do not keep every child
 * busy. A row that ends its process alone is poison: it is rejected, and runs alone again if it is read after a pause.
 * The rows of a live run that hung are suspects: they are rejected until each has run alone. One row at a time runs
 * alone, while the other children serve other rows.
 *
 * Rows are compared by their features, so that a user is served as soon as they change. Batches have their own way to
 * find poison rows (isolate-poison.ts), and are not rejected.
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
  /** Records the start of a live run. Returns a function to call once, at its end, with the error if it failed. */
  begin(parts: readonly Part<Pending>[]): (error?: unknown) => void;
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
/** After this many poison rows in a row, the other suspects are released, since the model may be at fault. */
const MOST_IN_A_ROW = 2;
/** A run with less than this share of a processor may be late because of the machine. */
const LEAST_CPU_SHARE = 0.03;
/** The share of a reader's time after which a run of the same row, whose readers have left, is not repeated. */
const LATE_SHARE = 0.5;

export function createPoisonRows({ runAlone, now }: PoisonRowsOptions): PoisonRows {
  /** Suspects and poison rows by key, the latest last. */
  const known = new Map<string, Known>();
  const waiting: LoneRow[] = [];
  const underWay = new Set<{ readonly parts: readonly Part<Pending>[]; readonly startedAt: number }>();
  const cutRows = new WeakMap<Part<Pending>, readonly LoneRow[]>();
  let isTrying = false;
  let restUntil = 0;

  function rowsOf(part: Part<Pending>): readonly LoneRow[] {
    const found = cutRows.get(part) ?? cutAll(part, part.rows, paceOf(part.request));
    cutRows.set(part, found);
    return found;
  }

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
      const error = await runAlone(row).then(
        () => undefined,
        (reason: Error) => reason,
      );
      const end = error instanceof ProcessEnded ? error : error?.cause;
      const { pauseMs = 0 } = known.get(row.key) ?? {};
      if (end instanceof ProcessEnded && isOfTheRow(end, row.limitMs)) {
        remember(row, Math.min(LONGEST_PAUSE_MS, 2 * pauseMs) || FIRST_PAUSE_MS, end.message);
        restUntil = now() + REST * (now() - startedAt);
        inARow++;
      } else if (error === undefined || isTandemError(error, 'live_failed')) {
        known.delete(row.key);
        inARow = 0;
      } else {
        // The pool is closing or too busy, which says nothing about the row.
        release(row);
        inARow = MOST_IN_A_ROW;
      }
      if (inARow >= MOST_IN_A_ROW) for (const other of waiting.splice(0)) release(other);
    }
    isTrying = false;
  }

  /** Ends the wait of a row that was not tried. A suspect may run again. */
  function release(row: LoneRow): void {
    const { pauseMs = 0, how = '' } = known.get(row.key) ?? {};
    if (pauseMs > 0) remember(row, pauseMs, how);
    else known.delete(row.key);
  }

  /** Returns the keys of rows that have been running for long, although their readers have left. */
  function lateKeys(timeoutMs: number): ReadonlySet<string> {
    const late = [...underWay].filter(({ startedAt }) => now() - startedAt >= timeoutMs * LATE_SHARE);
    const parts = late.flatMap((run) => run.parts.filter(({ request }) => request.settled));
    return new Set(parts.flatMap(rowsOf).map(({ key }) => key));
  }

  return {
    refusal(request) {
      const [first] = known;
      if (first && first[1].until + LONGEST_PAUSE_MS < now()) known.delete(first[0]);
      const late = underWay.size > 0 ? lateKeys(request.timeoutMs) : NONE;
      if (late.size + known.size === 0) return undefined;
      const refused = new Map<number, string>();
      for (const [i, row] of cutAll(request, request.rows.length, paceOf(request)).entries()) {
        const found = known.get(row.key);
        if (found && found.until <= now() && restUntil <= now() && !isTrying) tryAlone(row, found.pauseMs, found.how);
        if (found || late.has(row.key)) refused.set(request.rows[i] ?? i, textOf(found, now()));
      }
      return refused.size > 0 ? new RowsRefused('live_failed', refused) : undefined;
    },
    begin(parts) {
      const run = { parts, startedAt: now() };
      underWay.add(run);
      return (error) => {
        underWay.delete(run);
        // A kill from outside says nothing about the rows.
        if (!(error instanceof ProcessEnded) || mayBeForeign(error)) return;
        const isHang = error.why === 'deadline';
        // A part that waits is about to run alone.
        const rows = parts.filter(({ waiting }) => !waiting).flatMap(rowsOf);
        const isProven = parts.length === 1 && rows.length === 1 && isOfTheRow(error, now() - run.startedAt);
        for (const row of rows.filter(({ key }) => !known.has(key))) {
          if (isProven) remember(row, FIRST_PAUSE_MS, error.message);
          // The caller halves rows that crash together. Rows that hang have no caller any more.
          else if (isHang) tryAlone(row, 0, error.message);
        }
      };
    },
  };
}

/** Returns whether the process ended because of its only row, which ran for this many ms. */
function isOfTheRow({ cpuMs = Number.POSITIVE_INFINITY }: ProcessEnded, ranMs: number): boolean {
  return cpuMs >= ranMs * LEAST_CPU_SHARE;
}

const NONE: ReadonlySet<string> = new Set();

function cutAll(
  { version, inputs, outputs }: Pick<LoneRow, 'version' | 'inputs' | 'outputs'>,
  rows: number,
  paceMs: number,
) {
  return Array.from({ length: rows }, (_, start): LoneRow => {
    const row = cutInputs(inputs, start, 1);
    const hash = createHash('sha256').update(version.artifactHash);
    for (const { data } of row) {
      hash.update(
        'buffer' in data ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : JSON.stringify(data),
      );
    }
    return { key: hash.digest('base64'), version, inputs: row, outputs, limitMs: Math.max(LEAST_LIMIT_MS, paceMs) };
  });
}

function textOf(known: Known | undefined, now: number): string {
  if (!known) return 'the model still runs for an earlier read of these features';
  const { pauseMs, how, until } = known;
  if (pauseMs === 0) return `these features are run alone first, since a run that contained them failed: ${how}`;
  const seconds = Math.min(LONGEST_PAUSE_MS, Math.max(1, until - now)) / 1000;
  return `the model hangs or crashes with these features (${how}); they are tried again after ${Math.ceil(seconds)} s`;
}
