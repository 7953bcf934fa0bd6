/** Checks schedules, budgets and expiry against each other. */
import { formatDuration, parseDuration } from '@tandem/wire/durations';
import type { PartialPredictor } from './check-form.ts';
import type { SettingProblem } from './config-problem.ts';
import { slotGaps } from './schedule.ts';

type At = (...keys: (string | number)[]) => string;

/** Settings of schedules and budgets that would have no effect. */
export function scheduleProblems({ features, freshness, batch }: PartialPredictor, at: At): SettingProblem[] {
  const problems: SettingProblem[] = [];
  if (batch?.budget !== undefined && batch.schedule === undefined) {
    problems.push({
      path: at('batch', 'budget'),
      problem: 'has no effect without a schedule: it limits scheduled runs',
      remedy: 'add batch.schedule, or remove it and start runs with --share or --cpu-minutes',
    });
  }
  if (typeof batch?.schedule !== 'object') return problems;
  const { everyone, changed } = batch.schedule;
  if (everyone === changed) {
    problems.push({
      path: at('batch', 'schedule', 'changed'),
      problem: 'has no effect: everyone is scored at the same moments',
      remedy: 'write a more frequent schedule, or one cron expression for everyone',
    });
  }
  if (freshness?.events?.length === 0 && !features?.watch?.length && batch.budget === undefined) {
    problems.push({
      path: at('batch', 'schedule', 'changed'),
      problem: 'has no effect with events: [], by which no event changes a user',
      remedy: 'write one cron expression for everyone, or name events or watched tables',
    });
  }
  return problems;
}

/**
 * Returns the problems of expiry that need no database. `maxAgeTooShort`, for `check`, also uses the last run's time.
 */
export function expiryProblems({ freshness, batch }: PartialPredictor, at: At): SettingProblem[] {
  const maxAgeMs = freshness?.maxAge === undefined ? null : parseDuration(freshness.maxAge);
  if (maxAgeMs === null || batch?.schedule === undefined) return [];
  const everyone = typeof batch.schedule === 'string' ? batch.schedule : batch.schedule.everyone;
  // The other schedule only re-scores changed users.
  const { longestMs } = slotGaps(everyone);
  if (maxAgeMs >= longestMs) return [];
  const interval = formatDuration(longestMs);
  return [
    {
      path: at('freshness', 'maxAge'),
      problem: `${freshness?.maxAge} is shorter than the schedule's longest interval (${interval}): every prediction would expire before the next run replaces it`,
      remedy: `write more than ${interval} (the interval plus twice the time of a run), or schedule runs more often`,
    },
  ];
}
