/** Finds when the first run of each adopted predictor is due, or starts it. */
import type { Pool } from '@tandem/admission/sample-users';
import { latestSlot, nextSlot } from '@tandem/config/predictor/schedule';
import { isTandemError } from '@tandem/freshness/errors';
import { STABLE } from '@tandem/freshness/rollout';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { type AwaitedRun, createScheduleStore, findAwaitedRuns } from '@tandem/offline-store/runs/schedules';

/** A predictor without stored predictions, and the run that will store them. */
interface FirstRun {
  readonly predictor: string;
  readonly modelNumber: number;
  readonly live: boolean;
  /** The run in progress, or null. */
  readonly runId: string | null;
  /** The next slot of its schedule, or a past slot that is due, in ISO 8601; null without a schedule. */
  readonly nextSlot: string | null;
  /** Whether the slot has passed, so that the next worker starts the run. */
  readonly isDue: boolean;
}

/**
 * Finds the first run of each predictor without stored predictions.
 * @param starts whether a run of all users is started if none is in progress
 */
export async function findFirstRuns(pool: Pool, starts: boolean): Promise<readonly FirstRun[]> {
  const awaited = await findAwaitedRuns(pool);
  const slotOf = await readSlots(pool);
  const found: FirstRun[] = [];
  for (const one of awaited) {
    const { predictor, modelNumber, live } = one;
    const runId = one.runId ?? (starts ? await startRun(pool, one) : null);
    found.push({ predictor, modelNumber, live, runId, ...slotOf(predictor) });
  }
  return found;
}

type SlotOf = (predictor: string) => Pick<FirstRun, 'nextSlot' | 'isDue'>;

/** Returns the due slots by Postgres' clock, as workers do. */
async function readSlots(pool: Pool): Promise<SlotOf> {
  const { now, schedules } = await createScheduleStore(pool).schedules();
  return (predictor) => {
    const found = schedules.find((one) => one.predictor === predictor && one.variant === STABLE && !one.isOfChanged);
    if (found === undefined) return { nextSlot: null, isDue: false };
    const missed = latestSlot(found.schedule, now);
    const isDue = missed > found.after;
    return { nextSlot: (isDue ? missed : nextSlot(found.schedule, now)).toISOString(), isDue };
  };
}

/** Starts a run, which workers find in Postgres. Returns null if another process has just started one. */
async function startRun(pool: Pool, { predictor }: AwaitedRun): Promise<string | null> {
  try {
    const { run } = await createRunStore(pool).create({
      ...{ predictor, scope: { kind: 'all' } },
      ...{ reason: 'cli', scheduleSlot: null },
    });
    return run.id;
  } catch (error) {
    if (isTandemError(error, 'request_features_required')) return null;
    if (!isTandemError(error, 'run_conflict')) throw error;
    return (await findAwaitedRuns(pool)).find((one) => one.predictor === predictor)?.runId ?? null;
  }
}

export function renderFirstRun({ predictor, modelNumber, live, runId, nextSlot, isDue }: FirstRun): string[] {
  if (runId !== null) {
    return [`${predictor}: run ${runId} is in progress`, `  → follow it: tandem run show ${runId} --follow`];
  }
  const reads = live ? 'reads are live' : 'reads find no prediction';
  const when =
    nextSlot === null
      ? `no run is scheduled (batch.schedule); until a run has ended, ${reads}`
      : isDue
        ? `a scheduled run is due and starts with the next worker; until it has ended, ${reads}`
        : `next scheduled run: ${nextSlot.slice(0, 16).replace('T', ' ')} UTC; until its end, ${reads}`;
  return [
    `${predictor}: no predictions of model version ${modelNumber} are stored; ${when}`,
    `  → start one now: tandem run start ${predictor}`,
  ];
}
