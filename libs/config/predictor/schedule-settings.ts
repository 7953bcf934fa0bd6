/** Checks schedules, budgets and expiry against each other. */
import { formatDuration, parseDuration } from '@tandem/wire/durations';
import type { At, PartialPredictor } from './check-form.ts';
import type { SettingProblem } from './config-problem.ts';
import { slotGaps } from './schedule.ts';

/** Yields problems of schedules and budgets that would have no effect. */
export function* scheduleProblems({ features, freshness, batch }: PartialPredictor, at: At): Iterable<SettingProblem> {
  if (batch?.budget !== undefined && batch.schedule === undefined) {
    yield {
      path: at('batch', 'budget'),
      problem: 'has no effect without a schedule: it limits scheduled runs',
      remedy: 'add batch.schedule; or remove batch.budget, and start runs with --share or --cpu-minutes',
    };
  }
  if (typeof batch?.schedule !== 'object') return;
  const { everyone, changed } = batch.schedule;
  if (everyone === changed) {
    yield {
      path: at('batch', 'schedule', 'changed'),
      problem: 'has no effect: the schedule of everyone scores all users at the same times',
      remedy: 'write a more frequent schedule, or one cron expression for everyone',
    };
  }
  if (freshness?.events?.length === 0 && !features?.watch?.length && batch.budget === undefined) {
    yield {
      path: at('batch', 'schedule', 'changed'),
      problem: 'has no effect with events: [], since no event makes a user stale',
      remedy: 'write one cron expression for everyone, or name events or watched tables',
    };
  }
}

/**
 * Yields the problems of expiry that need no database. For `check`, `maxAgeTooShort` also takes the last run's time
 * into account.
 */
export function* expiryProblems({ freshness, batch }: PartialPredictor, at: At): Iterable<SettingProblem> {
  const maxAgeMs = freshness?.maxAge === undefined ? null : parseDuration(freshness.maxAge);
  if (maxAgeMs === null || batch?.schedule === undefined) return;
  const everyone = typeof batch.schedule === 'string' ? batch.schedule : batch.schedule.everyone;
  // The other schedule only re-scores changed users.
  const { longestMs } = slotGaps(everyone);
  if (maxAgeMs >= longestMs) return;
  const interval = formatDuration(longestMs);
  yield {
    path: at('freshness', 'maxAge'),
    problem: `${freshness?.maxAge} is shorter than the schedule's longest interval (${interval}): every prediction would expire before the next run replaces it`,
    remedy: `write a maxAge above ${interval} plus twice the time of a run, or schedule runs more often`,
  };
}
