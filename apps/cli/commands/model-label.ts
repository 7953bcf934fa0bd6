/** `tandem model label`: gives a name to a model version, or moves it there. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';

export function modelLabelCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'label',
    description: 'move a label to a model version that passed its trial; who is served what stays as it is',
    example: 'tandem model label repurchase challenger 2',
  })
    .argument('<predictor>')
    .argument('<label>')
    .argument('<version>', 'its number', parseWhole(1))
    .action(async (predictor: string, label: string, version: number, options: ApiOptions) => {
      const moved = await connect(cli, options).moveLabel(predictor, label, String(version));
      present(cli, options, moved, ({ from, to }) => [
        `${predictor}: ${label} is model version ${to}${from === null || from === to ? '' : `, ${from} no longer`}`,
      ]);
    });
}
