/** Rollouts as people read them. */
import type { RolloutState, RolloutView } from '@tandem/client/rollouts';
import type { Paint, Tone } from './paint.ts';
import { ago, moment } from './quantities.ts';
import { printable, renderFields, renderTable } from './table.ts';

const TONES: Readonly<Record<RolloutState, Tone>> = {
  preparing: 'strong',
  running: 'strong',
  held: 'warn',
  promoted: 'good',
  aborted: 'bad',
  ended: 'good',
};

export function renderRollout(rollout: RolloutView, paint: Paint, now: number): string[] {
  const { arms, createdAt, createdBy } = rollout;
  const lines = renderFields([
    ['rollout', `${rollout.rollout} of ${rollout.predictor} (${rollout.id})`],
    ['state', `${paint(TONES[rollout.state], rollout.state)}: ${printable(rollout.reason)}`],
    ['kind', `${rollout.kind}${stepOf(rollout)}`],
    ['asked', `${moment(createdAt)} UTC (${ago(createdAt, now)}) by ${printable(createdBy)}`],
  ]);
  if (arms.length === 0) return lines;
  const columns = [
    ...['variant', 'model version', 'generation'].map((title) => ({ title })),
    { title: 'users', align: 'right' as const },
  ];
  const rows = arms.map((arm) => [arm.variant, arm.modelVersion, arm.generation ?? 'none yet', `${arm.percent} %`]);
  return [...lines, ...renderTable(columns, rows)];
}

export function renderRollouts(rollouts: readonly RolloutView[], paint: Paint, now: number): string[] {
  if (rollouts.length === 0) return ['no rollouts yet; start one: tandem rollout start <predictor> <version>'];
  const titles = ['predictor', 'rollout', 'kind', 'state', 'asked', 'reason'];
  const rows = rollouts.map((rollout) => [
    rollout.predictor,
    rollout.rollout,
    `${rollout.kind}${stepOf(rollout)}`,
    paint(TONES[rollout.state], rollout.state),
    ago(rollout.createdAt, now),
    printable(rollout.reason),
  ]);
  return renderTable(
    titles.map((title) => ({ title })),
    rows,
  );
}

function stepOf({ kind, step, percent, plan }: RolloutView): string {
  return kind === 'canary' ? `, ${percent} %, step ${step + 1} of ${plan.steps?.length ?? 1}` : '';
}
