/** Does faults to one deployment under load, one after another, and tells what each came to. */
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
  /** Why it was not met, or what was not as expected. */
  readonly why?: string;
  /**
   * Milliseconds until throughput was back, of each time that it was injected; whole seconds are looked at. Null: not
   * in time, or the next came first.
   */
  readonly backAfterMs: readonly (number | null)[];
  /** Violations that came up between its beginning and the next one's. */
  readonly violations: number;
}

export interface FaultsResult {
  readonly faults: readonly FaultResult[];
  readonly checker: Checker;
  /** Of all of them: the stores after the end, and what did not end as it should. */
  readonly failed: readonly string[];
}

export interface TryingFaults {
  readonly seed: number;
  readonly folder: string;
  /** Which, in their order. */
  plan(random: () => number): Iterable<NamedFault>;
  readonly needs?: NamedFault['needs'];
  readonly form?: DeploymentForm;
  readonly rates?: Partial<LoadRates>;
  say(line: string): void;
}

/** Before the first fault: what throughput is compared with. */
const BASELINE_MS = 8_000;
/** Between two faults: longer where throughput is not back yet, until its bound has passed. */
const CALM_MS = 3_000;
const LONGEST_CALM_MS = 30_000;
const POLL_MS = 250;
/** By then everything that the load asks for, or a schedule, was done at least once. */
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
  // Each bulk change of a watched table outdates the base: hardly any run is within its budget then.
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
  // Else nothing is scheduled until the hour has passed by which a clock was ahead.
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
