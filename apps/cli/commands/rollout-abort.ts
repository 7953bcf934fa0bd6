/** `tandem rollout abort`: takes a rollout back. */
import type { Command } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { createMoveCommand } from '../rollouts/moves.ts';

export function rolloutAbortCommand(cli: Cli): Command {
  return createMoveCommand(cli, {
    move: 'abort',
    description: 'take the rollout back: everybody is served from the stable arm, from the next read on',
    question: ({ predictor, percent }) =>
      `${predictor}: take ${percent} % of the users back to the stable model version?`,
  });
}
