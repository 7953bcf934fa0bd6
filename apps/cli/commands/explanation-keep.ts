/** `tandem explanation keep`: answers a user, and keeps that answer. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { renderKept } from '../explanations/render-kept.ts';

export function explanationKeepCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'keep',
    description: 'answer a user as a read does, and keep that answer with what it was made of',
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
