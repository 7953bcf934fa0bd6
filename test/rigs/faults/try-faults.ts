/** Injects faults into one deployment under load, one after another, and reports the result of each. */
import { setTimeout as pause } from 'node:timers/promises';
import { type NamedFault, NotMet } from './catalogue/fault.ts';
import type { Checker } from './checker/checker.ts';
import { countViolations } from './checker/report.ts';
import { notDone } from './checker/work-done.ts';
import type { LoadRates } from './load/start-load.ts';
import type { DeploymentForm, Rig } from './rig/rig.ts';
import { openSession, SCHEDULED, type Session } from './rig/session.ts';

export interface FaultResult {
  readonly name: string;
  readonly what: string;
  readonly outcome: 'done' | 'not met' | 'not as expected';
  /** Why the fault was not met, or did not end as expected. */
  readonly why?: string;
  /**
   * Milliseconds until throughput recovered, for each injection, in whole seconds. Null if it did not recover in time,
   * or if the next injection came first.
   */
  readonly backAfterMs: readonly (number | null)[];
  /** Violations between the beginning of the fault and that of the next fault. */
  readonly violations: number;
}

export interface FaultsResult {
  readonly faults: readonly FaultResult[];
  readonly checker: Checker;
  /** Faults that did not end as expected, and failures of the final check of the stores. */
  readonly failed: readonly string[];
}

export interface TryingFaults {
  readonly seed: number;
  readonly folder: string;
  /** Yields the faults in their order. */
  plan(random: () => number): Iterable<NamedFault>;
  readonly needs?: NamedFault['needs'];
  readonly form?: DeploymentForm;
  readonly rates?: Partial<LoadRates>;
  say(line: string): void;
}

/** The time before the first fault, which is the baseline of throughput. */
const BASELINE_MS = 8_000;
/** The pause between two faults. It is longer while throughput has not recovered, up to `LONGEST_CALM_MS`. */
const CALM_MS = 3_000;
const LONGEST_CALM_MS = 30_000;
const POLL_MS = 250;
/** The time within which each kind of work of the deployment must occur once. */
const ALL_DONE_MS = 10 * 60_000;

export async function tryFaults({
  seed,
  folder,
  plan,
  needs,
  form = {},
  rates = {},
  say,
}: TryingFaults): Promise<FaultsResult> {
  const more = needs === undefined ? {} : { needs };
  const session = await openSession({ ...form, seed, folder, rates, batch: SCHEDULED, ...more });
  const startedAt = performance.now();
  const { checker } = session;
  const faults: FaultResult[] = [];
  const failed: string[] = [];
  try {
    await pause(BASELINE_MS);
    for (const fault of plan(session.random)) {
      const result = await tryOne(fault, session);
      faults.push(result);
      say(`${new Date().toISOString()} ${lineOf(result)}`);
    }
    await session.finish().catch((error: unknown) => void failed.push(`the end: ${textOf(error)}`));
  } finally {
    await session.close();
  }
  // With a watched table, bulk changes make the base stale, so that hardly any run is within its budget.
  if (!form.isWatched && performance.now() - startedAt >= ALL_DONE_MS) failed.push(...notDone(checker.work));
  for (const { name, outcome, why } of faults) if (outcome === 'not as expected') failed.push(`${name}: ${why}`);
  return { faults, checker, failed };
}

async function tryOne({ name, what, run }: NamedFault, session: Session): Promise<FaultResult> {
  const { checker } = session;
  const [recoveries, violations] = [checker.recoveries.length, countViolations(checker)];
  const ended = await run(session).then(
    () => ({ outcome: 'done' }) as const,
    (error: unknown) =>
      ({ outcome: error instanceof NotMet ? 'not met' : 'not as expected', why: textOf(error) }) as const,
  );
  await untilCalm(checker);
  // Otherwise no run is scheduled for an hour after a clock was an hour ahead.
  await forgetSlotsAhead(session.rig).catch(() => {});
  const backAfterMs = checker.recoveries.slice(recoveries).map((one) => one.backAfterMs);
  return { name, what, ...ended, backAfterMs, violations: countViolations(checker) - violations };
}

async function untilCalm(checker: Checker): Promise<void> {
  const latest = performance.now() + LONGEST_CALM_MS;
  await pause(CALM_MS);
  while (checker.isAwaitingThroughput() && performance.now() < latest) await pause(POLL_MS);
}

async function forgetSlotsAhead({ pool }: Rig): Promise<void> {
  for (const table of ['tandem.schedule_slots', 'tandem.changed_slots'])
    await pool.query(`delete from ${table} where last_slot > clock_timestamp()`);
}

function lineOf({ name, what, outcome, why, backAfterMs, violations }: FaultResult): string {
  const back = backAfterMs.map((ms) => (ms === null ? 'not told' : `${Math.round(ms)} ms`)).join(', ');
  const found = violations === 0 ? '' : `; ${violations} VIOLATIONS`;
  return `${name}: ${what}: ${outcome}${why === undefined ? '' : ` (${why})`}; back after ${back || '-'}${found}`;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${textOf(error.cause)})`;
}
