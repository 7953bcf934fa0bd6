/** `tandem audit list`: changes of generations, rollouts, labels and keys, with actor, time and reason. */
import type { AuditRow } from '@tandem/client/audit';
import { type Cli, createApiCommand, given, group, paged, present } from '@tandem/commands/command';
import { moment, printable, renderClipped } from '@tandem/commands/output/text';
import { connect } from './client/connect.ts';

export function auditCommands(cli: Cli) {
  return group('audit', 'changes of generations, rollouts, labels and keys, with actor, time and reason', [
    auditListCommand(cli),
  ]);
}

function auditListCommand(cli: Cli) {
  const command = createApiCommand({
    name: 'list',
    description: 'list changes of generations, rollouts, labels and keys, newest first',
    example: 'tandem audit list --predictor repurchase',
    detail: '--json also has the figures behind each step of a rollout.',
  }).option('--predictor <name>', 'only changes of this predictor');
  return paged(
    command,
    '--before <number>',
    'only changes before this row; for the next page, the last row of a page',
  ).action(async ({ predictor, limit, before, ...options }) => {
    const page = await connect(cli, options).audit({ limit, ...given({ predictor, before }) });
    present(cli, options, page, ({ rows }) => render(rows, predictor));
  });
}

function render(rows: readonly AuditRow[], predictor: string | undefined): string[] {
  if (rows.length === 0) {
    // A removed predictor keeps its rows, so a name without rows may be misspelled.
    return [
      predictor === undefined
        ? 'nothing was changed yet'
        : `no change of a predictor ${printable(predictor)} is recorded; tandem model list shows the predictors`,
    ];
  }
  const titles = ['number', 'at', 'who', 'what', 'predictor', 'why'];
  return renderClipped(
    titles,
    rows.map(({ number, at, actor, action, predictor, detail }) => [
      number,
      moment(at),
      printable(actor),
      action,
      predictor ?? '',
      printable(typeof detail.reason === 'string' ? detail.reason : ''),
    ]),
  );
}
