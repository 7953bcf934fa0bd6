/** Rollouts as people read them. */
import type { RolloutState, RolloutView } from '@tandem/client/rollouts';
import type { Paint, Tone } from '../command-line/command.ts';
import { ago, moment, printable, renderClipped, renderTable, renderWrappedFields, right } from '../output/text.ts';

const TONES: Readonly<Record<RolloutState, Tone>> = {
  preparing: 'strong',
  running: 'strong',
  held: 'warn',
  promoted: 'good',
  aborted: 'bad',
  ended: 'good',
};

/** @param said parts of the reason for its state that are shown elsewhere, and not repeated */
export function renderRollout(rollout: RolloutView, paint: Paint, now: number, said = ''): string[] {
  const { arms, createdAt, createdBy, state, reason } = rollout;
  const why = reason === said ? '' : `: ${printable(reason)}`;
  const lines = renderWrappedFields([
    ['rollout', `${rollout.rollout} of ${rollout.predictor} (${rollout.id})`],
    ['state', `${paint(TONES[state], state)}${why}`],
    ['kind', kindOf(rollout)],
    ['asked', `${moment(createdAt)} UTC (${ago(createdAt, now)}) by ${printable(createdBy)}`],
  ]);
  if (arms.length === 0) return lines;
  const columns = ['variant', 'model version', 'generation', right('users')];
  const rows = arms.map((arm) => [arm.variant, arm.modelVersion, arm.generation ?? 'none yet', `${arm.percent} %`]);
  return [...lines, ...renderTable(columns, rows)];
}

export function renderRollouts(rollouts: readonly RolloutView[], paint: Paint, now: number): string[] {
  if (rollouts.length === 0) return ['no rollouts yet; start one: tandem rollout start <predictor> <version>'];
  const titles = ['predictor', 'rollout', 'kind', 'state', 'asked', 'reason'];
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

function kindOf({ kind, step, percent, plan }: RolloutView): string {
  switch (kind) {
    case 'canary':
      return `canary, ${percent} %, step ${step + 1} of ${(plan.kind === kind && plan.steps?.length) || 1}`;
    case 'ab':
      return 'A/B test';
    case 'shadow':
      return 'shadow';
  }
}
