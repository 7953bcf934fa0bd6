/** `tandem rollout promote`: an arm becomes the stable one. */
import type { Command } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { createMoveCommand } from '../rollouts/moves.ts';

export function rolloutPromoteCommand(cli: Cli): Command {
  return createMoveCommand(cli, {
    move: 'promote',
    description: 'serve everybody from an arm of the rollout: it is the stable one now',
    takesVariant: true,
    question: ({ predictor, arms }, variant) => {
      const arm = arms.find((one) => one.variant === variant);
      return `${predictor}: serve everybody model version ${arm?.modelVersion ?? '?'} (now ${arm?.percent ?? 0} %)?`;
    },
  });
}
