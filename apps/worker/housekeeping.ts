/**
 * The loops that every worker runs beside its jobs:
 * - create due runs; reconcile derived state; send events to Redis; the rounds of extensions
 * - examine watched tables; rewrite contexts after event rules were added; measure waiting work
 * - less often, delete expired generations and rows
 *
 * No loop waits for another: a long queue of events must not delay the next job of a run. Each round is one wide event
 * with its work and its failures.
 */
import { setTimeout } from 'node:timers/promises';
import type { Round, RoundReport } from '@tandem/extension/extension';
import type { TandemError } from '@tandem/freshness/errors';
import type { HintStore } from '@tandem/prediction/events/events';
import { type Outbox, type OutboxPage, relayOutbox } from '@tandem/prediction/events/relay-outbox';
import { type Expiry, expire } from '@tandem/prediction/runs/expire';
import { createReconcile, type ReconcileDependencies } from '@tandem/prediction/runs/reconcile';
import { type RetainDependencies, retain, sweepLostKeys } from '@tandem/prediction/runs/retain';
import { type ScheduleRunsDependencies, scheduleRuns } from '@tandem/prediction/runs/schedule-runs';
import type { Log } from '@tandem/telemetry/log';
import { startWideEvent } from '@tandem/telemetry/wide-event';
import { type Repeating, repeat } from '@tandem/timing/repeat';

/** The rounds, with the milliseconds between two of each. */
const EVERY_MS = {
  reconcile: 3_000,
  outbox: 500,
  retention: 60_000,
  expiry: 60_000,
  lost_keys: 600_000,
  schedule: 5_000,
  contexts: 1_000,
  watches: 3_000,
  backlog: 10_000,
} as const;
type RoundName = keyof typeof EVERY_MS;
export const ROUNDS = Object.keys(EVERY_MS) as readonly RoundName[];

interface RelayDependencies {
  readonly outbox: Outbox;
  readonly userHints: HintStore;
  /** Called after each page that Redis has received. */
  onRelayed(page: OutboxPage): void;
}

export interface HousekeepingDependencies {
  readonly reconciling: ReconcileDependencies;
  readonly relaying: RelayDependencies;
  readonly retaining: RetainDependencies;
  readonly expiring: readonly Expiry[];
  readonly scheduling: ScheduleRunsDependencies;
  /** The rounds of extensions. */
  readonly more: readonly Round[];
  /** Rewrites contexts for a limited time after event rules were added; returns their number. */
  readonly rewriting: { rewriteContexts(): Promise<number> };
  /** Compares and repairs watches; returns how many still have a fault, or 0 if another worker has done it. */
  readonly watching: { examineWatches(): Promise<number> };
  /** Measures waiting work, for metrics. */
  observeBacklog(): Promise<void>;
  readonly log: Log;
  /** Returns why no round may begin now, or null if a round may begin. */
  whyIdle(): Promise<TandemError | null>;
  /** Called after each round, for metrics. */
  onRound(round: EndedRound): void;
  /** Milliseconds between two rounds, in place of the usual ones. */
  readonly everyMs?: Partial<Record<RoundName, number>>;
}

export interface EndedRound extends Required<RoundReport> {
  readonly round: string;
}

export function startHousekeeping(dependencies: HousekeepingDependencies): Pick<Repeating, 'stop'> {
  const { reconciling, relaying, retaining, expiring, scheduling, more, rewriting, watching, log } = dependencies;
  const { observeBacklog, whyIdle, everyMs } = dependencies;
  const reconcile = createReconcile(reconciling);
  const stopping = new AbortController();
  const { signal } = stopping;
  const pause = (ms: number) => setTimeout(ms, undefined, { signal }).catch(() => undefined);
  const works: Readonly<Record<RoundName, () => Promise<RoundReport>>> = {
    async reconcile() {
      const { unfinishedRuns: _, errors, ...done } = await reconcile();
      return { done, errors };
    },
    async outbox() {
      const { outbox, userHints, onRelayed } = relaying;
      return { done: { hintsRelayed: await relayOutbox(outbox, userHints, { onRelayed }) } };
    },
    async retention() {
      const { errors, ...done } = await retain(retaining);
      return { done, errors };
    },
    async expiry() {
      const { errors, ...done } = await expire(expiring, { pause, stopping: signal, whyIdle });
      return { done, errors };
    },
    lost_keys: async () => ({ done: { keysSwept: await sweepLostKeys(retaining, signal) } }),
    schedule: () => makeDueRuns(scheduling, log),
    contexts: async () => ({ done: { contextsRewritten: await rewriting.rewriteContexts() } }),
    watches: async () => ({ done: { watchesFaulted: await watching.examineWatches() } }),
    backlog: () => observeBacklog().then(() => ({})),
  };
  const own = ROUNDS.map((name) => ({ name, everyMs: everyMs?.[name] ?? EVERY_MS[name], run: works[name] }));
  const loops = [...own, ...more].map((round) =>
    repeat(round.everyMs, () => runRound(round.name, round.run, dependencies)),
  );
  return {
    async stop() {
      stopping.abort(new Error('the worker was stopped'));
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}

/** Runs one round, and never rejects. A round without work is logged at debug level only. */
async function runRound(
  round: string,
  work: () => Promise<RoundReport>,
  { log, onRound, whyIdle }: Pick<HousekeepingDependencies, 'log' | 'onRound' | 'whyIdle'>,
): Promise<void> {
  if (await whyIdle()) return;
  const event = startWideEvent('round.ended', { round }, { log });
  const report: RoundReport = await work().catch((error: unknown) => ({ errors: [describe(error)] }));
  const { done = {}, errors = [] } = report;
  const isIdle = Object.values(done).every((count) => count === 0);
  const outcome = errors.length > 0 ? 'failed' : isIdle ? 'nothing_to_do' : 'done';
  event.add({ outcome, ...done, ...(errors.length > 0 ? { errors } : {}) });
  event.end({ level: errors.length > 0 ? 'warn' : isIdle ? 'debug' : 'info' });
  onRound({ round, done, errors });
}

async function makeDueRuns(scheduling: ScheduleRunsDependencies, log: Log): Promise<RoundReport> {
  const { made, failed } = await scheduleRuns(scheduling);
  for (const run of made) log.info('run.scheduled', { ...run });
  const errors = failed.map(({ predictor, error }) => `${predictor}: ${describe(error)}`);
  return { done: { runsScheduled: made.length }, errors };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
