/** How long a rollout takes at least: each step waits for its guardrails' outcomes, whose windows are days. */
import type { RolloutView } from '@tandem/client/rollouts';
import { parseDuration } from '@tandem/config/predictor/durations';
import { duration } from '../output/quantities.ts';

/** Returns a sentence on the shortest course of a rollout; null where no outcome's window makes it longer. */
export function leastDurationOf({ kind, plan }: Pick<RolloutView, 'kind' | 'plan'>): string | null {
  const { analysis, steps = [] } = plan;
  const [longest] = (analysis?.outcomes ?? [])
    .filter(({ guardrail }) => guardrail || kind === 'ab')
    .map(({ name, window }) => ({ name, window, ms: parseDuration(window) ?? 0 }))
    .sort((a, b) => b.ms - a.ms);
  if (!longest || longest.ms <= (parseDuration(analysis?.minStep ?? '') ?? 0)) return null;
  const shorter = 'a shorter --outcome-window makes it shorter';
  if (kind === 'ab') return `it knows of ${longest.name} after ${duration(longest.ms)} at the earliest; ${shorter}`;
  const compared = steps.filter((percent) => percent < 100).length;
  if (compared === 0) return null;
  return `it takes at least ${days(compared * longest.ms)}: ${compared} steps below 100 % each wait for the window of ${longest.name}, ${longest.window}; ${shorter}`;
}

/** In days where it is whole days, as windows are written. */
function days(ms: number): string {
  const whole = ms / 86_400_000;
  return Number.isInteger(whole) ? `${whole} ${whole === 1 ? 'day' : 'days'}` : duration(ms);
}
