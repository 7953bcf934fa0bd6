/** `tandem rollout resume`: a rollout that was held goes on. */
import type { Command } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { createMoveCommand } from '../rollouts/moves.ts';

export function rolloutResumeCommand(cli: Cli): Command {
  return createMoveCommand(cli, { move: 'resume', description: 'let a rollout that was held go on by its analysis' });
}
