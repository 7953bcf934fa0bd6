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

interface RelayDependencies {
  readonly outbox: Outbox;
  readonly userHints: HintStore;
  /** Called after each page that Redis has received. */
  onRelayed?(page: OutboxPage): void;
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
  /** Measures waiting work; absent: it is not measured. */
  readonly observeBacklog?: () => Promise<void>;
  readonly log: Log;
  /** Returns why no round may begin now, or null if a round may begin. Absent: rounds may always begin. */
  readonly whyIdle?: () => Promise<unknown>;
  /** Called after each round, for metrics. */
  readonly onRound?: (round: EndedRound) => void;
  readonly reconcileEveryMs?: number;
  readonly relayEveryMs?: number;
  readonly scheduleEveryMs?: number;
  readonly rollEveryMs?: number;
  readonly retainEveryMs?: number;
  readonly expireEveryMs?: number;
  readonly sweepEveryMs?: number;
  readonly rewriteEveryMs?: number;
  readonly watchEveryMs?: number;
  readonly observeEveryMs?: number;
}

export const ROUNDS = [
  'reconcile',
  'outbox',
  'retention',
  'expiry',
  'lost_keys',
  'schedule',
  'rollouts',
  'contexts',
  'watches',
  'backlog',
] as const;
export type RoundName = (typeof ROUNDS)[number];

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
  const { reconciling, relaying, retaining, expiring, scheduling, rolling, rewriting, watching, observeBacklog, log } =
    dependencies;
  const { whyIdle } = dependencies;
  const { reconcileEveryMs = 3_000, relayEveryMs = 500, scheduleEveryMs = 5_000 } = dependencies;
  const { rollEveryMs = 1_000, retainEveryMs = 60_000, expireEveryMs = 60_000 } = dependencies;
  const {
    sweepEveryMs = 600_000,
    rewriteEveryMs = 1_000,
    watchEveryMs = 3_000,
    observeEveryMs = 10_000,
  } = dependencies;
  const reconcile = createReconcile(reconciling);
  const stopping = new AbortController();
  const each = (round: RoundName, everyMs: number, work: () => Promise<RoundReport>) =>
    repeat(everyMs, () => runRound(round, work, dependencies));
  const loops = [
    each('reconcile', reconcileEveryMs, async () => {
      const { unfinishedRuns: _, errors, ...done } = await reconcile();
      return { done, errors };
    }),
    each('outbox', relayEveryMs, async () => {
      const { outbox, userHints, onRelayed } = relaying;
      const hintsRelayed = await relayOutbox(outbox, userHints, onRelayed ? { onRelayed } : {});
      return { done: { hintsRelayed }, errors: [] };
    }),
    each('retention', retainEveryMs, async () => {
      const { errors, ...done } = await retain(retaining);
      return { done, errors };
    }),
    each('expiry', expireEveryMs, async () => {
      const { signal } = stopping;
      const pause = (ms: number) => setTimeout(ms, undefined, { signal }).catch(() => undefined);
      const { errors, ...done } = await expire(expiring, { pause, stopping: signal, ...(whyIdle ? { whyIdle } : {}) });
      return { done, errors };
    }),
    each('lost_keys', sweepEveryMs, async () => {
      const keysSwept = await sweepLostKeys(retaining, stopping.signal);
      return { done: { keysSwept }, errors: [] };
    }),
    each('schedule', scheduleEveryMs, () => makeDueRuns(scheduling, log)),
    each('rollouts', rollEveryMs, () => moveRollouts(rolling, log)),
    each('contexts', rewriteEveryMs, async () => ({
      done: { contextsRewritten: await rewriting.rewriteContexts() },
      errors: [],
    })),
    each('watches', watchEveryMs, async () => ({
      done: { watchesFaulted: await watching.examineWatches() },
      errors: [],
    })),
  ];
  if (observeBacklog) loops.push(each('backlog', observeEveryMs, () => observeBacklog().then(() => NOTHING_DONE)));
  return {
    async stop() {
      stopping.abort(new Error('the worker was stopped'));
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}

const NOTHING_DONE: RoundReport = Object.freeze({ done: {}, errors: [] });

/** Runs one round, and never rejects. A round without work is logged at debug level only. */
async function runRound(
  round: RoundName,
  work: () => Promise<RoundReport>,
  { log, onRound, whyIdle }: Pick<HousekeepingDependencies, 'log' | 'onRound' | 'whyIdle'>,
): Promise<void> {
  if (whyIdle && (await whyIdle())) return;
  const event = startWideEvent('round.ended', { round }, { log });
  const { done, errors } = await work().catch((error: unknown) => ({ done: {}, errors: [describe(error)] }));
  const isIdle = Object.values(done).every((count) => count === 0);
  const outcome = errors.length > 0 ? 'failed' : isIdle ? 'nothing_to_do' : 'done';
  event.add({ outcome, ...done, ...(errors.length > 0 ? { errors } : {}) });
  event.end({ level: errors.length > 0 ? 'warn' : isIdle ? 'debug' : 'info' });
  onRound?.({ round, done, errors });
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
