/** `tandem generation approve`: what thresholds held back is put in force after all. */
import type { Client } from '@tandem/client/create-client';
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { confirm } from '../command-line/confirm.ts';
import { parseWhole } from '../command-line/options.ts';
import { renderReport } from '../generations/render-report.ts';
import { count } from '../output/quantities.ts';

interface Options extends ApiOptions {
  readonly yes?: boolean;
}

export function generationApproveCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'approve',
    description: 'put a generation in force that was held back; the next read is answered from it',
    example: 'tandem generation approve repurchase 18',
  })
    .argument('<predictor>')
    .argument('<generation>', 'its number', parseWhole(1))
    .option('--yes', 'do not ask')
    .action(async (predictor: string, generation: number, options: Options) => {
      const client = connect(cli, options);
      if (!options.yes) await agree(cli, client, predictor, generation);
      const approved = await client.approveGeneration(predictor, generation);
      present(cli, options, approved, ({ modelVersion, users }) => [
        `${predictor}: generation ${generation} (model version ${modelVersion}, ${count(users)} users) is in force`,
      ]);
    });
}

/** Shows what held it back first. */
async function agree(cli: Cli, client: Client, predictor: string, generation: number): Promise<void> {
  const report = await client.generationReport(predictor, generation);
  for (const line of renderReport({ ...report, movers: [] }, cli.paint)) cli.stderr.write(`${line}\n`);
  await confirm(cli, `Put generation ${generation} of ${predictor} in force?`);
}
