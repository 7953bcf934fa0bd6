/** `tandem rollout hold`: a rollout stays where it is. */
import type { Command } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { createMoveCommand } from '../rollouts/moves.ts';

export function rolloutHoldCommand(cli: Cli): Command {
  return createMoveCommand(cli, {
    move: 'hold',
    description: 'stay at this step until it is resumed; a proven regression still takes the rollout back',
  });
}
