/**
 * `tandem explain`, `tandem explanation` and `tandem replay`: why a user gets an answer, and answers that are kept with
 * their inputs.
 */

import { type Cli, createApiCommand, given, group, paged, present } from '@tandem/commands/command';
import { CommandFailure } from '@tandem/commands/failure';
import { isProblem, ProblemError } from '@tandem/transport/client-errors';
import { connect } from '../client/connect.ts';
import { renderExplanation } from './render-explanation.ts';
import { renderKept, renderKeptList, renderReplay } from './render-kept.ts';

export function explanationCommands(cli: Cli) {
  return group('explanation', 'answers that are kept with their inputs', [
    explanationKeepCommand(cli),
    explanationListCommand(cli),
    explanationShowCommand(cli),
  ]);
}

export function explainCommand(cli: Cli) {
  return createApiCommand({
    name: 'explain',
    description: 'explain why a user gets this answer: stored predictions, their versions, and features',
    detail: 'Exit codes: 0 if a read would answer or the user is known; 1 if the user is unknown or no store answered.',
    example: 'tandem explain repurchase 42',
  })
    .argument('<predictor>')
    .argument('<userId>')
    .action(async (predictor, userId, options) => {
      const explanation = await connect(cli, options).explanation(predictor, userId);
      present(cli, options, explanation, () => renderExplanation(explanation, cli.paint));
      const problem = explanation.answerProblem && new ProblemError(explanation.answerProblem);
      if (isProblem(problem, 'unknown_user')) {
        throw new CommandFailure(problem.message, { remedy: problem.remedy, presented: true });
      }
    });
}

function explanationKeepCommand(cli: Cli) {
  return createApiCommand({
    name: 'keep',
    description: 'answer a user as a read does, and keep the answer with its inputs',
    detail: `It is kept for the time in \`explanations.keepFor\` of the predictor's config. A predictor without that setting keeps
no answers, and the command then fails. The example of npm start has the setting.`,
    example: 'tandem explanation keep repurchase 42',
  })
    .argument('<predictor>')
    .argument('<userId>')
    .action(async (predictor, userId, options) => {
      const explanation = await connect(cli, options).explanations.keep(predictor, userId);
      present(cli, options, explanation, () => renderKept(explanation, cli.paint));
    });
}

function explanationListCommand(cli: Cli) {
  const command = createApiCommand({
    name: 'list',
    description: 'list kept answers, newest first',
    detail: 'The setting `explanations` of a predictor defines the sampled users and the retention.',
    example: 'tandem explanation list --predictor repurchase --user 42',
  })
    .option('--predictor <name>', 'only answers of this predictor')
    .option('--user <userId>', 'only answers of this user');
  return paged(
    command,
    '--before <position>',
    'only answers after this position: the `next` of the previous page (--json)',
  ).action(async ({ predictor, user, limit, before, ...options }) => {
    const page = await connect(cli, options).explanations.list({
      limit,
      ...given({ predictor, userId: user, before }),
    });
    present(cli, options, page, ({ explanations }) => renderKeptList(explanations));
  });
}

function explanationShowCommand(cli: Cli) {
  return createApiCommand({
    name: 'show',
    description: 'show a kept answer as it was served, with the inputs of its model',
    example: 'tandem explanation show 5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  })
    .argument('<id>', 'the id, from `tandem explanation list`')
    .action(async (id, options) => {
      const explanation = await connect(cli, options).explanations.find(id);
      present(cli, options, explanation, () => renderKept(explanation, cli.paint));
    });
}

/** The time limit in ms: a model that no longer serves must be loaded first. */
const PATIENCE_MS = 60_000;

export function replayCommand(cli: Cli) {
  return createApiCommand({
    name: 'replay',
    description: 'replay a kept answer with the same model version and inputs, and compare',
    detail:
      'Exit codes: 0 if the answers agree or the inputs belong to another context; 1 if they differ or nothing could be computed.',
    example: 'tandem replay 5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  })
    .argument('<id>', 'the id, from `tandem explanation list`')
    .action(async (id, options) => {
      const replay = await connect(cli, options).explanations.replay(id, { timeoutMs: PATIENCE_MS });
      present(cli, options, replay, () => renderReplay(replay, cli.paint));
      if (replay.verdict === 'differs' || replay.verdict === 'refused')
        throw new CommandFailure('', { presented: true });
    });
}
