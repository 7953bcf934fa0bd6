/** `tandem model list`: the model versions of a predictor, and which is in force. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { renderModels } from '../models/render-models.ts';

interface Options extends ApiOptions {
  readonly archived?: boolean;
}

export function modelListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list the model versions of a predictor, newest first',
    example: 'tandem model list repurchase',
  })
    .argument('[predictor]', 'left out: of all predictors')
    .option('--archived', 'list archived versions too')
    .action(async (predictor: string | undefined, options: Options) => {
      const models = await connect(cli, options).models(predictor, { archived: options.archived ?? false });
      present(cli, options, { models }, () => renderModels(models, cli.paint, cli.now()));
    });
}
