/** `tandem rollout`: canaries, shadows and A/B tests of model versions. */
import { type Cli, createApiCommand, given, group, paged, present } from '@tandem/commands/command';
import { printable } from '@tandem/commands/output/text';
import { connectRollouts } from './connect-rollouts.ts';
import { findActive, findRollout, moveCommands } from './moves.ts';
import { renderRolloutReport } from './render-report.ts';
import { renderRollout, renderRollouts } from './render-rollout.ts';
import { renderShadowReport } from './render-shadow-report.ts';
import { rolloutStartCommand } from './start.ts';

export function rolloutCommands(cli: Cli) {
  return group('rollout', 'canaries, shadows and A/B tests of model versions', [
    rolloutStartCommand(cli),
    rolloutListCommand(cli),
    rolloutShowCommand(cli),
    rolloutReportCommand(cli),
    ...moveCommands(cli),
    rolloutOverrideCommand(cli),
  ]);
}

function rolloutListCommand(cli: Cli) {
  const command = createApiCommand({
    name: 'list',
    description: 'list rollouts, newest first',
    example: 'tandem rollout list --predictor repurchase',
  }).option('--predictor <name>', 'only rollouts of this predictor');
  return paged(
    command,
    '--before <id>',
    'only rollouts before this id; for the next page, the id of the last rollout of a page',
  ).action(async ({ predictor, limit, before, ...options }) => {
    const page = await connectRollouts(cli, options).list({ limit, ...given({ predictor, before }) });
    present(cli, options, page, ({ rollouts }) => renderRollouts(rollouts, cli.paint, cli.now()));
  });
}

function rolloutShowCommand(cli: Cli) {
  return createApiCommand({
    name: 'show',
    description: 'show the newest rollout of a predictor, or one by its id',
    example: 'tandem rollout show repurchase',
  })
    .argument('<predictor>', 'the predictor, or the id of a rollout')
    .action(async (named, options) => {
      const rollout = await findRollout(connectRollouts(cli, options), named);
      present(cli, options, rollout, () => renderRollout(rollout, cli.paint, cli.now()));
    });
}

function rolloutReportCommand(cli: Cli) {
  return createApiCommand({
    name: 'report',
    description:
      'show the figures of a rollout: arms, checks, the verdict and outcomes, or the compared answers of a shadow',
    example: 'tandem rollout report repurchase',
  })
    .argument('<predictor>', 'the predictor, or the id of a rollout')
    .action(async (named, options) => {
      const client = connectRollouts(cli, options);
      const { id, kind } = await findRollout(client, named);
      if (kind === 'shadow') {
        present(cli, options, await client.shadowReport(id), (report) => renderShadowReport(report, cli.now()));
        return;
      }
      const report = await client.report(id);
      present(cli, options, report, () => renderRolloutReport(report, cli.paint, cli.now()));
    });
}

function rolloutOverrideCommand(cli: Cli) {
  return createApiCommand({
    name: 'override',
    description: 'assign a user to an arm by hand; without --variant, remove the assignment',
    example: 'tandem rollout override repurchase 42 --variant candidate',
    detail: 'The arm serves users who are assigned by hand, but no analysis counts them.',
  })
    .argument('<predictor>', 'the predictor, or the id of a rollout')
    .argument('<userId>')
    .option('--variant <arm>', 'the arm')
    .action(async (named, userId, { variant, ...options }) => {
      const client = connectRollouts(cli, options);
      const { id } = await findActive(client, named);
      const overrides = await client.override(id, userId, variant ?? null);
      present(cli, options, { overrides }, () =>
        overrides.length === 0
          ? ['no user is assigned to an arm by hand']
          : overrides.map((one) => `${printable(one.userId)}: ${one.variant}`),
      );
    });
}
