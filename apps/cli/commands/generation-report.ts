/** `tandem generation report`: how a generation differs from the one that was served before it. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';
import { renderReport } from '../generations/render-report.ts';

export function generationReportCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'report',
    description: 'show how a generation differs from the one served before it',
    example: 'tandem generation report repurchase 18',
  })
    .argument('<predictor>')
    .argument('[generation]', 'its number (default: the newest that was compared)', parseWhole(1))
    .action(async (predictor: string, generation: number | undefined, options: ApiOptions) => {
      const report = await connect(cli, options).generationReport(predictor, generation);
      present(cli, options, report, () => renderReport(report, cli.paint));
    });
}
