/** `tandem rollout advance`: the next step of a canary, by hand. */
import type { Command } from 'commander';
import type { Cli } from '../command-line/cli.ts';
import { createMoveCommand } from '../rollouts/moves.ts';

export function rolloutAdvanceCommand(cli: Cli): Command {
  return createMoveCommand(cli, {
    move: 'advance',
    description: 'go to the next step of a canary, whatever the analysis says; after the last one it is promoted',
    question: ({ predictor, percent, plan }) => {
      const next = plan.steps?.find((step) => step > percent) ?? 100;
      return `${predictor}: the candidate serves ${percent} % of the users. Go to ${next} %?`;
    },
  });
}
