/** `tandem rollout report`: what a rollout has served, what users did afterwards, and what follows from it. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { findRollout } from '../rollouts/find-rollout.ts';
import { renderRolloutReport } from '../rollouts/render-report.ts';
import { renderShadowReport } from '../rollouts/render-shadow-report.ts';

export function rolloutReportCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'report',
    description:
      'show the figures of a rollout: its arms, the checks and their verdict, outcomes; of a shadow, the answers',
    example: 'tandem rollout report repurchase',
  })
    .argument('<predictor>', 'whose rollout, or the id of one')
    .action(async (named: string, options: ApiOptions) => {
      const client = connect(cli, options);
      const { id, kind } = await findRollout(client, named);
      if (kind === 'shadow') {
        present(cli, options, await client.rollouts.shadowReport(id), (report) =>
          renderShadowReport(report, cli.now()),
        );
        return;
      }
      const report = await client.rollouts.report(id);
      present(cli, options, report, () => renderRolloutReport(report, cli.paint, cli.now()));
    });
}
