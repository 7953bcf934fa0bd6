/** `tandem model show`: one model version, what decides its answers, and what its trial showed. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';
import { renderModel } from '../models/render-model.ts';

export function modelShowCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'show',
    description: 'show a model version: where it comes from, its query, its trial, who is served by it',
    example: 'tandem model show repurchase 2',
  })
    .argument('<predictor>')
    .argument('<version>', 'its number', parseWhole(1))
    .action(async (predictor: string, version: number, options: ApiOptions) => {
      const model = await connect(cli, options).modelVersion(predictor, String(version));
      present(cli, options, model, () => renderModel(model, cli.now()));
    });
}
