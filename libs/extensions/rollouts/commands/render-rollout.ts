/** Renders rollouts. */

import type { Paint, Tone } from '@tandem/commands/command';
import {
  ago,
  moment,
  printable,
  renderClipped,
  renderTable,
  renderWrappedFields,
  right,
} from '@tandem/commands/output/text';
import type { RolloutState, RolloutView } from '../client.ts';

const TONES: Readonly<Record<RolloutState, Tone>> = {
  preparing: 'strong',
  running: 'strong',
  held: 'warn',
  promoted: 'good',
  aborted: 'bad',
  ended: 'good',
};

/**
 * Renders a rollout.
 * @param said parts of the reason that are shown elsewhere and are not repeated
 */
export function renderRollout(rollout: RolloutView, paint: Paint, now: number, said = ''): string[] {
  const { arms, createdAt, createdBy, endedAt, state, reason } = rollout;
  const why = reason === said ? '' : `: ${printable(reason)}`;
  const lines = renderWrappedFields([
    ['rollout', `${rollout.rollout} of ${rollout.predictor} (${rollout.id})`],
    ['state', `${paint(TONES[state], state)}${why}`],
    ['kind', kindOf(rollout)],
    ['created', `${moment(createdAt)} UTC (${ago(createdAt, now)}) by ${printable(createdBy)}`],
  ]);
  if (arms.length === 0) return lines;
  const columns = ['variant', 'model version', 'generation', right(endedAt ? 'users before the end' : 'users')];
  const rows = arms.map((arm) => [arm.variant, arm.modelVersion, arm.generation ?? 'none yet', `${arm.percent} %`]);
  return [...lines, ...renderTable(columns, rows)];
}

export function renderRollouts(rollouts: readonly RolloutView[], paint: Paint, now: number): string[] {
  if (rollouts.length === 0) return ['no rollouts yet; start one: tandem rollout start <predictor> <version>'];
  const titles = ['predictor', 'rollout', 'kind', 'state', 'created', 'reason'];
  const rows = rollouts.map((rollout) => [
    rollout.predictor,
    rollout.rollout,
    kindOf(rollout),
    paint(TONES[rollout.state], rollout.state),
    ago(rollout.createdAt, now),
    printable(rollout.reason),
  ]);
  return renderClipped(titles, rows);
}

function kindOf(rollout: RolloutView): string {
  switch (rollout.kind) {
    case 'canary':
      return `canary, ${placeOf(rollout)}`;
    case 'ab':
      return 'A/B test';
    case 'shadow':
      return 'shadow';
  }
}

/** Returns the step of a canary, or how it ended: an ended canary has no share of the users. */
function placeOf({ state, step, percent, plan, stepStartedAt, endedAt }: RolloutView): string {
  const place = `step ${step + 1} of ${(plan.kind === 'canary' && plan.steps?.length) || 1}`;
  if (!endedAt) return `${percent} %, ${place}`;
  if (state === 'promoted') return 'promoted to all users';
  return stepStartedAt ? `ended at ${place}` : 'ended before step 1';
}
