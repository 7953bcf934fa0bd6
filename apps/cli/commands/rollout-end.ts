/** `tandem rollout end`: ends a shadow or an A/B test. */
import type { Command } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { createMoveCommand } from '../rollouts/moves.ts';

export function rolloutEndCommand(cli: Cli): Command {
  return createMoveCommand(cli, {
    move: 'end',
    description: 'end a shadow or an A/B test; everybody is served from the stable arm',
    question: ({ predictor, kind }) => `${predictor}: end the ${kind === 'ab' ? 'A/B test' : kind}?`,
  });
}
