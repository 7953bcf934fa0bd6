/**
 * The loops that every worker runs beside its jobs:
 * - create due runs; start and judge rollouts; reconcile derived state; send events to Redis
 * - examine watched tables; rewrite contexts after event rules were added; measure waiting work
 * - less often, delete expired generations and rows
 *
 * No loop waits for another: a long queue of events must not delay the next job of a run. Each round is one wide event
 * with its work and its failures.
 */
import { setTimeout } from 'node:timers/promises';
import type { TandemError } from '@tandem/freshness/errors';
import type { HintStore } from '@tandem/prediction/events/events';
import { type Outbox, type OutboxPage, relayOutbox } from '@tandem/prediction/events/relay-outbox';
import {
  type Analysed,
  type AnalyseRolloutsDependencies,
  analyseRollouts,
} from '@tandem/prediction/rollouts/analyse-rollouts';
import { type PrepareRolloutsDependencies, prepareRollouts } from '@tandem/prediction/rollouts/prepare-rollouts';
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
  rollouts: 1_000,
  contexts: 1_000,
  watches: 3_000,
  backlog: 10_000,
} as const;
export type RoundName = keyof typeof EVERY_MS;
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
  readonly rolling: PrepareRolloutsDependencies & AnalyseRolloutsDependencies;
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

interface RoundReport {
  /** Counts of work done, by name. */
  readonly done: Readonly<Record<string, number>>;
  /** Failed steps; the other steps succeeded. */
  readonly errors: readonly string[];
}

export interface EndedRound extends RoundReport {
  readonly round: RoundName;
}

export function startHousekeeping(dependencies: HousekeepingDependencies): Pick<Repeating, 'stop'> {
  const { reconciling, relaying, retaining, expiring, scheduling, rolling, rewriting, watching, log } = dependencies;
  const { observeBacklog, whyIdle, everyMs } = dependencies;
  const reconcile = createReconcile(reconciling);
  const stopping = new AbortController();
  const { signal } = stopping;
  const pause = (ms: number) => setTimeout(ms, undefined, { signal }).catch(() => undefined);
  const works: Readonly<Record<RoundName, () => Promise<Partial<RoundReport>>>> = {
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
    rollouts: () => moveRollouts(rolling, log),
    contexts: async () => ({ done: { contextsRewritten: await rewriting.rewriteContexts() } }),
    watches: async () => ({ done: { watchesFaulted: await watching.examineWatches() } }),
    backlog: () => observeBacklog().then(() => ({})),
  };
  const loops = ROUNDS.map((round) =>
    repeat(everyMs?.[round] ?? EVERY_MS[round], () => runRound(round, works[round], dependencies)),
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
  round: RoundName,
  work: () => Promise<Partial<RoundReport>>,
  { log, onRound, whyIdle }: Pick<HousekeepingDependencies, 'log' | 'onRound' | 'whyIdle'>,
): Promise<void> {
  if (await whyIdle()) return;
  const event = startWideEvent('round.ended', { round }, { log });
  const report: Partial<RoundReport> = await work().catch((error: unknown) => ({ errors: [describe(error)] }));
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

async function moveRollouts(rolling: HousekeepingDependencies['rolling'], log: Log): Promise<RoundReport> {
  const { begun, aborted, failed: unprepared } = await prepareRollouts(rolling);
  for (const { id, predictor, kind } of begun) log.info('rollout.begun', { rolloutId: id, predictor, kind });
  for (const { id, predictor, kind, reason: why } of aborted) {
    log.warn('rollout.taken_back', { rolloutId: id, predictor, kind, reason: 'preparing_deadline', why });
  }
  const { analysed, failed: unjudged } = await analyseRollouts(rolling);
  for (const one of analysed) tellJudged(one, log);
  const moved = analysed.filter(({ check }) => check.applied).length;
  const errors = [...unprepared, ...unjudged].map(({ rollout, error }) => `${rollout.predictor}: ${describe(error)}`);
  return { done: { rolloutsBegun: begun.length, rolloutsMoved: moved + aborted.length }, errors };
}

function tellJudged({ rollout, check }: Analysed, log: Log): void {
  const { verdict, applied, step, judgement } = check;
  const { id, predictor, kind } = rollout;
  const { reason, why } = judgement;
  const facts = { rolloutId: id, predictor, kind, step, verdict, applied, reason, why };
  if (reason === 'look_failed') log.warn('rollout.look_failed', facts);
  else log.info('rollout.judged', facts);
  // A separate event, so that alerts can distinguish a failed look from a verdict that moves nothing.
  if (applied && verdict === 'roll_back') log.warn('rollout.taken_back', facts);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
