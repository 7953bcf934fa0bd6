/**
 * `tandem explain`, `tandem explanation` and `tandem replay`: why a user gets an answer, and the answers that were kept
 * with their inputs.
 */
import { isProblem, ProblemError } from '@tandem/client/client-errors';
import type { Command } from 'commander';
import {
  type ApiOptions,
  type Cli,
  createApiCommand,
  given,
  group,
  type PageOptions,
  paged,
  present,
} from '../command-line/command.ts';
import { connect } from '../command-line/environment.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { renderExplanation } from './render-explanation.ts';
import { renderKept, renderKeptList, renderReplay } from './render-kept.ts';

export function explanationCommands(cli: Cli): Command {
  return group('explanation', 'answers that were kept with their inputs', [
    explanationKeepCommand(cli),
    explanationListCommand(cli),
    explanationShowCommand(cli),
  ]);
}

export function explainCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'explain',
    description: 'explain why a user gets this answer: stored predictions, their versions, and features',
    detail: 'Exit code 0: a read would answer, or the user is known. 1: the user is unknown, or no store answered.',
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

function explanationKeepCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'keep',
    description: 'answer a user as a read does, and keep the answer with its inputs',
    detail: `It is kept for as long as \`explanations.keepFor\` of the predictor's config says. A predictor without that setting keeps
none, and the command says so. The example of npm start has it.`,
    example: 'tandem explanation keep repurchase 42',
  })
    .argument('<predictor>')
    .argument('<userId>')
    .action(async (predictor: string, userId: string, options: ApiOptions) => {
      const explanation = await connect(cli, options).explanations.keep(predictor, userId);
      present(cli, options, explanation, () => renderKept(explanation, cli.paint));
    });
}

interface ListOptions extends PageOptions {
  readonly user?: string;
}

function explanationListCommand(cli: Cli): Command {
  const command = createApiCommand({
    name: 'list',
    description: 'list kept answers, newest first',
    detail: 'Whose answers are kept, and for how long, the setting `explanations` of a predictor says.',
    example: 'tandem explanation list --predictor repurchase --user 42',
  })
    .option('--predictor <name>', 'of this predictor only')
    .option('--user <userId>', 'of this user only');
  return paged(command, '--before <place>', 'the page after the page with this `next` (--json)').action(
    async ({ predictor, user, limit, before, ...options }: ListOptions) => {
      const page = await connect(cli, options).explanations.list({
        limit,
        ...given({ predictor, userId: user, before }),
      });
      present(cli, options, page, ({ explanations }) => renderKeptList(explanations));
    },
  );
}

function explanationShowCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'show',
    description: 'show a kept answer as served, with the inputs of its model',
    example: 'tandem explanation show 5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  })
    .argument('<id>', 'the id, from `tandem explanation list`')
    .action(async (id: string, options: ApiOptions) => {
      const explanation = await connect(cli, options).explanations.find(id);
      present(cli, options, explanation, () => renderKept(explanation, cli.paint));
    });
}

/** A model that no longer serves has to be loaded first. */
const PATIENCE_MS = 60_000;

export function replayCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'replay',
    description: 'replay a kept answer with the same model version and inputs, and compare',
    detail:
      'Ends with 0 where it agrees, or its inputs are of another context; 1: it differs, or could not be computed.',
    example: 'tandem replay 5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  })
    .argument('<id>', 'the id, from `tandem explanation list`')
    .action(async (id: string, options: ApiOptions) => {
      const replay = await connect(cli, options).explanations.replay(id, { timeoutMs: PATIENCE_MS });
      present(cli, options, replay, () => renderReplay(replay, cli.paint));
      if (replay.verdict === 'differs' || replay.verdict === 'refused')
        throw new CommandFailure('', { presented: true });
    });
}
