/** `tandem explanation show`: an answer that was kept, and what its model was given. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { renderKept } from '../explanations/render-kept.ts';

export function explanationShowCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'show',
    description: 'show an answer that was kept: as it was served, and what its model was given',
    example: 'tandem explanation show 5b0c6a52-3a0e-4d0f-9c55-0d2f7b1d9a10',
  })
    .argument('<id>', 'as `tandem explanation list` tells it')
    .action(async (id: string, options: ApiOptions) => {
      const explanation = await connect(cli, options).explanations.find(id);
      present(cli, options, explanation, () => renderKept(explanation, cli.paint));
    });
}
