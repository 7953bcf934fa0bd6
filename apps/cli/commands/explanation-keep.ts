/** `tandem explanation keep`: answers a user, and keeps that answer. */
import type { Command } from 'commander';
import { type Cli, present } from '../cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/create-command.ts';
import { renderKept } from '../output/render-kept.ts';

export function explanationKeepCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'keep',
    description: 'answer a user as a read does, and keep that answer with what it was made of',
    detail: 'For as long as the setting `explanations` of the predictor says; without it nothing is kept.',
    example: 'tandem explanation keep repurchase 42',
  })
    .argument('<predictor>')
    .argument('<userId>')
    .action(async (predictor: string, userId: string, options: ApiOptions) => {
      const explanation = await connect(cli, options).explanations.keep(predictor, userId);
      present(cli, options, explanation, () => renderKept(explanation, cli.paint));
    });
}
