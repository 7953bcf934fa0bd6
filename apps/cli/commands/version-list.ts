/** `tandem version list`: the model versions that were stable, and when. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { renderStableVersions } from '../output/render-stable-versions.ts';

export function versionListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list the model versions that were stable, newest first',
    example: 'tandem version list repurchase',
  })
    .argument('<predictor>')
    .action(async (predictor: string, options: ApiOptions) => {
      const versions = await connect(cli, options).stableVersions(predictor);
      present(cli, options, { versions }, () => renderStableVersions(versions, cli.paint, cli.now()));
    });
}
