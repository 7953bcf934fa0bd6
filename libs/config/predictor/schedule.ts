/**
 * Schedules: cron expressions of five fields, in UTC. A slot is the same time on every machine. Daylight saving time
 * neither skips nor repeats a slot.
 */
import type { Policy } from '@tandem/freshness/predictor';
import { formatDuration } from '@tandem/wire/durations';
import { CronExpressionParser } from 'cron-parser';

/** Returns why an expression is not a valid schedule; null if it is. */
export function scheduleProblem(schedule: string): string | null {
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== 5 || fields[0] === '') {
    return `a schedule has five fields (minute hour day month weekday), this has ${schedule.trim() === '' ? 0 : fields.length}`;
  }
  // `H` picks a random value at each parse: two schedulers would disagree about the slots.
  if (/(^|[^a-z])h/i.test(schedule)) return 'H means a random value, but a schedule must be the same in every process';
  try {
    parse(schedule, FIRST_DAY).next();
    return null;
  } catch (error) {
    return error instanceof Error ? lowerFirst(error.message) : String(error);
  }
}

/**
 * Returns the latest slot at or before a time, which a stopped scheduler may have missed. Throws if `scheduleProblem`
 * rejects the schedule.
 */
export function latestSlot(schedule: string, at: Date): Date {
  // The parser searches strictly before its date, but a slot at exactly `at` counts.
  return parse(schedule, new Date(at.getTime() + 1))
    .prev()
    .toDate();
}

/** Returns the first slot after a time. Throws if `scheduleProblem` rejects the schedule. */
export function nextSlot(schedule: string, at: Date): Date {
  return parse(schedule, at).next().toDate();
}

/** Returns the shortest and the longest interval between two slots, in ms, over at most 400 days or 3,000 slots. */
export function slotGaps(schedule: string): { readonly shortestMs: number; readonly longestMs: number } {
  const slots = parse(schedule, FIRST_DAY);
  let [previous, shortestMs, longestMs] = [slots.next().getTime(), Number.POSITIVE_INFINITY, 0];
  for (let count = 0; count < 3000; count++) {
    const slot = slots.next().getTime();
    shortestMs = Math.min(shortestMs, slot - previous);
    longestMs = Math.max(longestMs, slot - previous);
    previous = slot;
    if (slot > FIRST_DAY.getTime() + 400 * 86_400_000) break;
  }
  return { shortestMs, longestMs };
}

/**
 * Returns why `maxAge` is too short for the schedule, or null. It must be longer than the longest time between two
 * slots plus twice the last run's time. Otherwise stored predictions would expire before they are replaced, and every
 * read would infer live.
 * @param lastRunMs duration of the last run; 0 if there was none
 */
export function maxAgeTooShort(policy: Policy, lastRunMs: number): string | null {
  const { maxAgeMs } = policy.freshness;
  const { schedule } = policy.batch;
  if (maxAgeMs === null || schedule === null) return null;
  const { longestMs } = slotGaps(schedule);
  const needed = longestMs + 2 * lastRunMs;
  if (maxAgeMs >= needed) return null;
  const run = lastRunMs > 0 ? ` plus twice the last run's time (${formatDuration(roundUp(lastRunMs))})` : '';
  return (
    `${formatDuration(maxAgeMs)} is shorter than the schedule's longest interval (${formatDuration(longestMs)})${run}: ` +
    `every prediction would expire before the next run replaces it; at least ${formatDuration(roundUp(needed))} is needed`
  );
}

// A fixed day, so that the result does not depend on the current time.
const FIRST_DAY = new Date('2026-01-01T00:00:00Z');

function parse(schedule: string, currentDate: Date) {
  return CronExpressionParser.parse(schedule, { tz: 'UTC', currentDate });
}

/** Rounds up to whole seconds, and from an hour on to whole minutes: `25h` is more readable than `90000001ms`. */
function roundUp(ms: number): number {
  const unit = ms >= 3_600_000 ? 60_000 : 1000;
  return Math.ceil(ms / unit) * unit;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
