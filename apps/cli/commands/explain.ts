/** `tandem explain`: why a user gets this answer, now. */
import { isProblem, ProblemError } from '@tandem/client/client-errors';
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { renderExplanation } from '../explanations/render-explanation.ts';

export function explainCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'explain',
    description: 'tell why a user gets this answer: what is stored, of which versions, from which features',
    detail:
      'Ends with 0 where a read would answer, or the user is known; 1: nobody knows the user, or nothing could be told.',
    example: 'tandem explain repurchase 42',
  })
    .argument('<predictor>')
    .argument('<userId>')
    .action(async (predictor: string, userId: string, options: ApiOptions) => {
      const explanation = await connect(cli, options).explanation(predictor, userId);
      present(cli, options, explanation, () => renderExplanation(explanation, cli.paint));
      const problem = explanation.answerProblem && new ProblemError(explanation.answerProblem);
      if (isProblem(problem, 'unknown_user')) {
        throw new CommandFailure(problem.message, { remedy: problem.remedy, presented: true });
      }
    });
}
