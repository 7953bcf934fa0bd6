/** A verdict with its checks, as the wire has it. */

import type { Judgement } from '@tandem/experiment/verdict/rollout-figures';
import type { JudgementView } from '@tandem/wire/rollout-report';

export function judgementView({ checks, ...rest }: Judgement): JudgementView {
  return { ...rest, checks: checks.map(({ figures, ...check }) => ({ ...check, figures: { ...figures } })) };
}
